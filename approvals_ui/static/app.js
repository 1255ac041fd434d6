// Everything here only enhances: each page and each decision works without it.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const page = document.body.dataset.page;
const announce = (text) => { $("#announcer").textContent = text; };
// The session has ended: what was typed is kept in this tab, and the page comes back after signing in.
const signIn = () => location.assign(`/sign-in?next=${encodeURIComponent(location.pathname.replace(/\/decisions$/, "") + location.search)}`);
const parse = (html) => new DOMParser().parseFromString(html, "text/html");
const fetched = async (url, options) => {
  const response = await fetch(url, { headers: { accept: "text/html" }, ...options });
  if (!response.ok) throw new Error(`${response.status}`);
  return response.text();
};

// -- lists: a focused row, and arrivals that wait until they are asked for
const list = $("#list");
let focused = null;
const rows = () => $$("[data-row]", list);
const focusRow = (row, { scroll = true } = {}) => {
  $(".focused", list)?.classList.remove("focused");
  focused = row?.dataset.row ?? null;
  if (!row) return;
  row.classList.add("focused");
  if (scroll) { $(".row-link", row).focus({ preventScroll: true }); row.scrollIntoView({ block: "nearest" }); }
  preview(focused);
};
let previewed = $("[data-preview]", $("#preview") ?? undefined)?.dataset.preview;
const preview = async (id) => {
  const pane = $("#preview");
  if (!pane || id === previewed || getComputedStyle(pane).display === "none") return;
  previewed = id;
  const html = await fetched(`/approvals/${encodeURIComponent(id)}?fragment=preview`).catch(() => null);
  if (html !== null && previewed === id) pane.replaceChildren(...parse(html).body.childNodes);
};
const move = (by) => {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.dataset.row === focused);
  focusRow(all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + by))]);
};
let waiting = null;
const counts = (fresh) => {
  for (const [name, value] of [["pending", fresh.dataset.pending], ["pending-tab", fresh.dataset.pending], ["attention", fresh.dataset.attention]]) {
    for (const place of $$(`[data-count="${name}"]`)) { place.textContent = value; place.hidden = name !== "pending-tab" && value === "0"; }
  }
};
const patchList = async () => {
  const fresh = $("[data-rows]", parse(await fetched(list.dataset.fragmentUrl)));
  if (!fresh) return;
  counts(fresh);
  const known = new Map(rows().map((row) => [row.dataset.row, row]));
  const found = $$("[data-row]", fresh);
  const arrived = found.filter((row) => !known.has(row.dataset.row));
  for (const row of found) {
    const shown = known.get(row.dataset.row);
    known.delete(row.dataset.row);
    if (shown && shown.innerHTML !== row.innerHTML) {
      const active = shown.contains(document.activeElement);
      shown.replaceChildren(...row.childNodes);
      if (active) $(".row-link", shown).focus({ preventScroll: true });
    }
  }
  const left = found.length < 50 || page === "inbox" ? known : new Map();
  for (const row of left.values()) row.classList.add("gone");
  waiting = fresh.cloneNode(true);
  if (rows().length === 0 && found.length) return showArrivals();
  const bar = $("#arrivals");
  if (bar) { $("span", bar).textContent = arrived.length; bar.hidden = arrived.length === 0; }
  if (arrived.length) announce(`${arrived.length} new. Press . to show.`);
};
const showArrivals = async () => {
  const fresh = $("[data-rows]", parse(await fetched(list.dataset.fragmentUrl)));
  $("[data-rows]", list).replaceWith(fresh);
  $("#arrivals").hidden = true;
  focusRow(rows().find((row) => row.dataset.row === focused) ?? rows()[0], { scroll: false });
};
if (list) {
  $("#arrivals button")?.addEventListener("click", showArrivals);
  list.addEventListener("focusin", (event) => { const row = event.target.closest("[data-row]"); if (row && row.dataset.row !== focused) focusRow(row, { scroll: false }); });
  list.addEventListener("pointerover", (event) => { const row = event.target.closest("[data-row]"); if (row && row.dataset.row !== focused && !row.contains(document.activeElement) && page === "inbox") focusRow(row, { scroll: false }); });
  if (page === "inbox" && rows().length) focusRow(rows()[0], { scroll: false });
}

// -- one run or one outcome: its part of the page is asked for again, what is unfolded stays so
const live = $("#live");
const patchLive = async () => {
  const fresh = parse(await fetched(live.dataset.fragmentUrl)).body;
  const open = new Set($$("details[open]", live).map((one) => one.id));
  const focusedId = document.activeElement?.closest?.("details")?.id;
  if (fresh.innerHTML === live.dataset.last) return;
  live.dataset.last = fresh.innerHTML;
  for (const one of $$("details", fresh)) if (one.id && open.has(one.id)) one.open = true;
  live.replaceChildren(...fresh.childNodes);
  dispatchEvent(new Event("patched"));
  if (focusedId) document.getElementById(focusedId)?.firstElementChild?.focus({ preventScroll: true });
};

// -- the live stream
const lost = $("#live-lost");
const form = $("#decision");
const overtaken = async () => {
  const outcome = $("#outcome", parse(await fetched(form.dataset.outcome)));
  if (!outcome || outcome.dataset.status === "pending" || $("#overtaken")) return;
  const banner = document.createElement("div");
  banner.id = "overtaken";
  banner.className = "banner warn";
  banner.append($(".outcome-word", outcome).textContent.trim(), " meanwhile, so this form can no longer be sent. What you typed stays here. ");
  const link = Object.assign(document.createElement("a"), { href: location.pathname, textContent: "See the outcome" });
  banner.append(link);
  form.prepend(banner);
  $$(".verb-buttons button", form).forEach((button) => { button.disabled = true; });
  announce("This request was answered meanwhile.");
};
let pause = null;
const moved = (event) => {
  const { runs } = JSON.parse(event.data);
  if (live?.dataset.run && !runs.includes(live.dataset.run)) return;
  if (form) return runs.includes(form.dataset.run) && overtaken();
  clearTimeout(pause);
  pause = setTimeout(() => (list ? patchList() : live ? patchLive() : null)?.catch(() => { lost.hidden = false; }), 120);
};
// A browser opens six connections to a host: a tab that nobody looks at gives its own back.
let stream = null, latest = document.body.dataset.head;
const listen = () => {
  stream?.close();
  stream = new EventSource(`/live?after=${latest}`);
  stream.addEventListener("moved", (event) => { latest = event.lastEventId; moved(event); });
  stream.addEventListener("open", () => { lost.hidden = true; });
  stream.addEventListener("error", ({ target }) => {
    lost.hidden = false;
    if (target.readyState !== EventSource.CLOSED) return;
    fetch("/api/v1/whoami").then(({ status }) => { if (status === 401 && target === stream) signIn(); }, () => {});  // refused, or only cut off?
    setTimeout(() => { if (target === stream) listen(); }, 3000);
  });
  // The inbox is there and its database is not: what the page shows is the last that was known.
  stream.addEventListener("signed-out", () => { stream.close(); signIn(); });
  stream.addEventListener("away", () => { lost.hidden = false; });
  stream.addEventListener("back", () => { lost.hidden = true; });
};
if ((list || live || form) && latest) {
  if (!document.hidden) listen();
  document.addEventListener("visibilitychange", () => { stream?.close(); stream = null; if (!document.hidden) listen(); });
  addEventListener("pagehide", () => stream?.close());
}

// -- the decision form
const text = (count) => (count ? `Approve with ${count} change${count === 1 ? "" : "s"}` : "Approve");
const arm = (button) => { $$(".armed", form).forEach((one) => one.classList.remove("armed")); button?.classList.add("armed"); };
const body = (extra = {}) => new URLSearchParams([...new FormData(form), ...Object.entries(extra)]);
const inputs = (field) => $$("input:not([type=hidden]), select, textarea", field).filter((one) => !one.closest(".box"));
const isChanged = (field) => inputs(field).some((one) => (one.type === "checkbox" ? `${one.checked}` : one.value) !== one.dataset.agent);
const mark = (field) => {
  const boxes = $$(".box input", field).some((box) => box.checked !== box.defaultChecked);
  const changed = boxes || isChanged(field);
  field.classList.toggle("changed", changed);
  const button = $("[data-reset]", field);
  if (button) button.hidden = !changed;
};
const reset = (field) => {
  for (const one of inputs(field)) if (one.type === "checkbox") one.checked = one.dataset.agent === "true"; else one.value = one.dataset.agent;
  for (const box of $$(".box input", field)) box.checked = box.defaultChecked;
  mark(field);
  weigh();
};
let asked = 0, delay = null;
const weigh = () => {
  form.elements.reviewed.value = "";
  clearTimeout(delay);
  delay = setTimeout(async () => {
    const mine = ++asked;
    const html = await fetched(form.dataset.preview, { method: "POST", body: body() }).catch(() => null);
    if (html === null || mine !== asked) return;
    const panel = $("#changes", parse(html));
    const isOpen = $("#changes details")?.open ?? true;
    $("#changes").replaceWith(panel);
    if ($("details", panel)) $("details", panel).open = isOpen;
    settle(panel);
  }, 180);
};
const settle = (panel) => {
  const { digest, count, problems } = panel.dataset;
  form.elements.reviewed.value = digest ?? "";
  const label = $("[data-approve-text]", form);
  if (label) label.textContent = text(Number(count));
  const mention = $("[data-digest-text]", form);
  if (mention && digest) { mention.textContent = `(${digest.slice(0, 19).replace(":", " ")}…)`; mention.title = digest; }
  if (problems && problems !== "0") form.elements.reviewed.value = "";
};
const act = async (button) => {
  const html = await fetched(form.getAttribute("action"), { method: "POST", body: body({ action: button.value }) }).catch(() => null);
  const fresh = html && $("#decision .data-card", parse(html));
  if (!fresh) return form.requestSubmit(button);
  $(".data-card", form).replaceWith(fresh);
  const again = $$("button[name=action]", fresh).find((one) => one.value === button.value && !one.disabled);
  (again ?? $("button[name=action]", fresh) ?? fresh).focus({ preventScroll: true });
  $$("[data-field]", fresh).forEach(mark);
  weigh();
};
if (form) {
  form.addEventListener("input", (event) => { const field = event.target.closest("[data-field]"); if (field && !event.target.closest(".box")) $$(".box input[name^='f.null:']", field).forEach((box) => { box.checked = false; }); if (field) mark(field); if (event.target.id !== "comment") weigh(); });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.matches("[data-reset]")) reset(button.closest("[data-field]"));
    if (button?.name === "action" && !button.value.startsWith("view:")) { event.preventDefault(); act(button); }
  });
  form.addEventListener("submit", (event) => {
    const reason = event.submitter?.value === "reject" && !form.elements.comment.value.trim();
    if (reason) { event.preventDefault(); armReject(); announce("Say why you reject it, then press Ctrl Enter."); }
  });
  $$("[data-field]", form).forEach(mark);
  $("#changes[data-stale]") ? weigh() : settle($("#changes"));
  $("#errors")?.focus();
}
const armReject = () => { arm($("#reject")); form.elements.comment.focus(); };
const needsAttention = () => $$("[data-field]", form).sort((one, other) => weight(other) - weight(one))[0];
const nextField = (field) => {
  const later = $$("[data-field]", form).filter((one) => field.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING && inputs(one).length);
  const next = later.find((one) => weight(one) > 0) ?? later[0];
  if (!next) return $("#comment")?.focus();
  inputs(next)[0].focus();
  inputs(next)[0].select?.();
};
const weight = (field) => (field.classList.contains("invalid") ? 4 : $(".confidence.bad", field) ? 2 : $(".confidence.warn", field) ? 1 : 0);

// -- a draft survives leaving the page, for as long as the browser's tab lives; the server renders it again
const draftKey = (id) => `agentflow draft ${id}`;
const restore = (saved) => {
  const again = document.createElement("form");
  Object.assign(again, { method: "post", hidden: true });
  again.setAttribute("action", form.getAttribute("action"));
  const own = new Set(["csrf", "decision_id", "version", "reviewed"]);
  const fields = [...new URLSearchParams(saved)].filter(([name]) => !own.has(name));
  for (const [name, value] of [...fields, ...[...own].map((name) => [name, form.elements[name].value]), ["action", "view:edit"]]) {
    again.append(Object.assign(document.createElement("textarea"), { name, value }));
  }
  document.body.append(again);
  again.submit();
};
const offerDraft = (saved) => {
  const banner = document.createElement("div");
  banner.className = "banner";
  banner.id = "draft";
  const button = (label, act) => Object.assign(document.createElement("button"), { type: "button", className: "button small", textContent: label, onclick: act });
  const discard = () => { sessionStorage.removeItem(draftKey(form.dataset.id)); banner.remove(); };
  banner.append("You left a draft of this decision. ", button("Restore it", () => restore(saved)), button("Discard it", discard));
  form.prepend(banner);
};
if (form) {
  const saved = sessionStorage.getItem(draftKey(form.dataset.id));
  if (saved && !location.pathname.endsWith("/decisions")) offerDraft(saved);
  form.addEventListener("input", () => sessionStorage.setItem(draftKey(form.dataset.id), `${body()}`));
}
const done = $("[data-decided]")?.dataset.decided;
if (done) sessionStorage.removeItem(draftKey(done));

// -- times tick by the server's clock
const ahead = Date.parse(document.body.dataset.now) - Date.now();
const spelled = (seconds) => {
  const parts = [];
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count) parts.push(`${count} ${unit}`); else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts;
};
setInterval(() => {
  for (const one of $$("time[datetime]")) {
    if (one.closest(".logs")) continue;
    const seconds = (Date.parse(one.dateTime) - Date.now() - ahead) / 1000;
    if (Math.abs(seconds) < 5) one.textContent = "just now";
    else if (seconds > 0) one.textContent = `in ${spelled(seconds >= 60 ? seconds - (seconds % 60) : seconds).join(" ")}`;
    else one.textContent = `${spelled(-seconds)[0]} ago`;
  }
}, 10_000);

// -- keys: they rest while somebody types
const typing = (target) => target.matches?.("input:not([type=checkbox]), select, textarea");
const keys = $("#keys");
$$("[data-open-keys]").forEach((button) => { button.hidden = false; button.addEventListener("click", () => keys.showModal()); });
const go = (selector) => { const link = $(selector); if (link) location.assign(link.href); };
const openRow = () => { const row = rows().find((one) => one.dataset.row === focused); if (row) location.assign($(".row-link", row).href); };
const anywhere = {
  "?": () => keys.showModal(),
  "/": () => $("#q")?.focus(),
  ".": () => list && showArrivals(),
  "[": () => go("a[rel=prev]"),
  "]": () => go(".steps a[rel=next]"),
  Escape: () => page !== "inbox" && location.assign(page === "run" ? "/runs" : "/inbox"),
};
const inList = { j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1), Home: () => focusRow(rows()[0]), End: () => focusRow(rows().at(-1)), o: openRow, Enter: openRow, a: openRow, r: openRow };
const inForm = {
  a: () => { const button = $("#approve"); arm(button); button?.focus(); announce(`${button?.innerText ?? ""}: press Ctrl Enter to send.`); },
  r: () => $("#reject") && armReject(),
  e: () => { const field = needsAttention(); const first = field && inputs(field)[0]; first?.focus(); first?.select?.(); },
  u: () => { const field = document.activeElement.closest?.("[data-field]"); if (field) reset(field); },
};
let prefix = "", prefixTimer = null;
addEventListener("keydown", (event) => {
  if (event.defaultPrevented || keys.open || event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter" && form) {
    event.preventDefault();
    const button = $(".armed", form) ?? $("#approve");
    if (button) form.requestSubmit(button);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event.target)) {
    if (event.key === "Escape") { event.target.blur(); event.preventDefault(); }
    const here = event.key === "Enter" && event.target.matches("input, select") && event.target.closest("[data-field]");
    if (here) { event.preventDefault(); nextField(here); }
    return;
  }
  if (prefix === "g") {
    prefix = "";
    const target = { i: "/inbox", r: "/runs", c: "/costs", s: "/schedules", w: "/webhooks", d: "/inbox?tab=decided" }[event.key];
    if (target) { event.preventDefault(); location.assign(target); }
    return;
  }
  if (event.key === "g") { prefix = "g"; clearTimeout(prefixTimer); prefixTimer = setTimeout(() => { prefix = ""; }, 1500); return; }
  const map = { ...anywhere, ...(list ? inList : {}), ...(form ? inForm : {}) };
  if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
  if (map[event.key]) { event.preventDefault(); map[event.key](); }
});
