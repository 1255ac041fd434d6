// Words of models and tools as they come; what is recorded comes with the page, and takes their place.
const live = document.querySelector("#live");
const LONGEST = 20000;
const said = new Map();
let latest = 0, source = null, again = null, isEnded = false;

const placeOf = (key) => [...live.querySelectorAll("[data-speaking]")].filter((one) => key.startsWith(one.dataset.speaking)).sort((one, other) => other.dataset.speaking.length - one.dataset.speaking.length)[0];
const nameOf = (key) => key.slice(key.lastIndexOf("/") + 1).replace(/#\d+$/, "");
const lineOf = (place, key) => {
  const known = [...place.children].find((one) => one.dataset.key === key);
  if (known) return known;
  const line = document.createElement("li");
  line.className = "said assistant speaking";
  line.dataset.key = key;
  const who = Object.assign(document.createElement("span"), { className: "who" });
  who.append(Object.assign(document.createElement("i"), { className: "dot pulse" }), nameOf(key));
  const words = Object.assign(document.createElement("div"), { className: "words-said" });
  line.append(who, Object.assign(document.createElement("div"), { className: "turn-said" }));
  line.lastChild.append(words);
  place.append(line);
  return line;
};
const show = (key) => {
  const place = placeOf(key);
  if (!place) return;
  const { text } = said.get(key);
  const words = lineOf(place, key).querySelector(".words-said");
  words.textContent = text.length > LONGEST ? `…${text.slice(-LONGEST)}` : text;
};
const drop = (key) => { said.delete(key); document.querySelectorAll(".speaking").forEach((one) => { if (one.dataset.key === key) one.remove(); }); };

const follow = () => {
  source?.close();
  clearTimeout(again);
  source = new EventSource(`/runs/${encodeURIComponent(live.dataset.run)}/tokens?after=${latest}`);
  source.addEventListener("said", (event) => {
    const { key, attempt, text, new: isNew } = JSON.parse(event.data);
    latest = Number(event.lastEventId);
    const before = said.get(key);
    said.set(key, { attempt, text: isNew || before?.attempt !== attempt ? text : before.text + text });
    show(key);
  });
  // The page is asked for again when the entry is recorded, which shows the answer itself; a failed attempt is void.
  source.addEventListener("over", (event) => { const { key } = JSON.parse(event.data); setTimeout(() => drop(key), 400); });
  source.addEventListener("signed-out", () => { isEnded = true; source.close(); });
  source.addEventListener("end", () => { isEnded = true; source.close(); });
  source.addEventListener("error", ({ target }) => {
    if (target.readyState === EventSource.CLOSED && !isEnded) again = setTimeout(follow, 3000);
  });
};
const begin = () => { if (!document.hidden && !isEnded && live.querySelector("[data-speaking]")) follow(); };
const buttons = (root) => {
  for (const one of root.querySelectorAll("[data-copy] > figcaption:not(:has(button))")) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "plain copy", textContent: "Copy" });
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(one.parentElement.querySelector("pre").textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    one.append(button);
  }
};
buttons(document);
if (live) {
  begin();
  document.addEventListener("visibilitychange", () => { source?.close(); source = null; begin(); });
  addEventListener("pagehide", () => source?.close());
  addEventListener("patched", () => {
    buttons(live);
    for (const key of said.keys()) show(key);
    if (!source || source.readyState === EventSource.CLOSED) begin();
    const tell = document.querySelector("#tell");
    if (tell) tell.hidden = !live.querySelector("[data-open]");
  });
  const text = document.querySelector("#tell-text");
  text?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); event.stopPropagation(); text.form.requestSubmit(); }
  });
}
