"""Kill each refund agent at four moments, and print what came of it.

    python -m benchmarks.agents.trials PYTHON [NAME…]

PYTHON is the interpreter that has the peers (see README.md in this folder); agentflow runs under the present one. The
model is a server that we did not write, `@copilotkit/aimock`, behind a few lines that can kill who asks it.
"""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.aimock import Aimock, node, package
from tests.support.processes import until

HERE = Path(__file__).parent
MOMENTS = {
    "waiting": "while a person is asked",
    "before": "in the tool, before it has paid",
    "after": "in the tool, after it has paid",
    "asked": "after the tool, as the model is asked again",
    "fails": "not killed: the tool raises an error before it has paid",
}
LIMIT = 60
END = "It is paid back."
CANNOT_EDIT = {"openai_agents"}


@dataclass
class Model:
    """The server in front of the model: passes requests on, and kills who asks with a refund's result, once."""

    behind: str
    kills: bool = False
    child: subprocess.Popen[str] | None = None
    asked: list[Any] = field(default_factory=list)

    def answer(self, path: str, body: bytes) -> httpx.Response | None:
        """The answer; None for one who was killed."""
        said = json.loads(body)
        self.asked.append(said)
        if self.kills and "refunded " in body.decode() and self.child is not None:
            self.kills = False
            self.child.send_signal(signal.SIGKILL)
            return None
        return httpx.post(f"{self.behind}{path}", content=body, headers={"content-type": "application/json"})


def serving(model: Model) -> http.server.ThreadingHTTPServer:
    """The server, started."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found = model.answer(self.path, body)
            if found is None:
                return
            self.send_response(found.status_code)
            self.send_header("content-type", found.headers["content-type"])
            self.send_header("content-length", str(len(found.content)))
            self.end_headers()
            self.wfile.write(found.content)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def script(mock: Aimock) -> None:
    """What the model says: it looks the order up, refunds it, and is done."""
    mock.reset()
    mock.says(END, toolCallId="call_refund")
    mock.answers(
        {"toolCalls": [{"id": "call_refund", "name": "refund", "arguments": '{"order":"A-17","amount":120}'}]},
        toolCallId="call_look",
    )
    mock.answers(
        {"toolCalls": [{"id": "call_look", "name": "look_up", "arguments": '{"order":"A-17"}'}]}, userMessage="A-17"
    )


class Trial:
    """One case in a folder of its own."""

    def __init__(self, python: str, name: str, model: Model, url: str, kill: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="refunds-"))
        self.model, self.kill = model, kill
        self.command = [python, str(HERE / f"refund_{name}.py")]
        path = os.pathsep.join([str(HERE), str(HERE.parents[1])]) if name == "agentflow" else str(HERE)
        self.environment = {
            **os.environ,
            "PYTHONPATH": path,
            "OPENAI_BASE_URL": f"{url}/v1",
            "OPENAI_API_KEY": "sk-of-no-use",
            "LEDGER": str(self.folder / "ledger.txt"),
            "KILL": kill,
            "PYTHONWARNINGS": "ignore",
        }

    def say(self, *words: str, kills: bool = False) -> str:
        """What the program prints, or how it ended."""
        self.model.kills = kills
        self.model.child = child = self.begun(*words)
        return self.ended(child)

    def begun(self, *words: str) -> subprocess.Popen[str]:
        """The program, started with these words."""
        return subprocess.Popen(
            [*self.command, *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, child: subprocess.Popen[str]) -> str:
        """What it printed, or how it ended."""
        try:
            out, err = child.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            return f"nothing in {LIMIT} s"
        if child.returncode == -signal.SIGKILL:
            return "KILLED"
        if child.returncode:
            return f"error: {(err.strip().splitlines() or ['?'])[-1][:160]}"
        return out.strip()

    def payments(self) -> list[str]:
        """What the provider has paid."""
        ledger = self.folder / "ledger.txt"
        return ledger.read_text().splitlines() if ledger.exists() else []


def report(what: str, steps: list[str], trial: Trial, requests: int) -> None:
    """A line for people."""
    said = " | ".join(steps)
    print(f"    {what}: {said} — paid {trial.payments()}, the model was asked {requests} times", flush=True)


def killed(python: str, name: str, model: Model, url: str) -> None:
    """Kill it at each moment, start it again, and where it asks once more decide once more."""
    for kill, moment in MOMENTS.items():
        model.asked.clear()
        trial = Trial(python, name, model, url, kill)
        steps = [trial.say("start")]
        if kill != "waiting":
            steps.append(trial.say("decide", "approve", kills=kill == "asked"))
            if steps[-1] != END:
                steps.append(trial.say("resume"))
        else:
            steps += [trial.say("pending"), trial.say("decide", "approve")]
        report(moment, steps, trial, len(model.asked))
        if steps[-1] != END:
            steps = [trial.say("decide", "approve")]
            report("and decided once more", steps, trial, len(model.asked))


def looking(python: str, name: str, model: Model, url: str) -> None:
    """Kill it after it has paid, where the tool itself looks first whether it has."""
    trial = Trial(python, name, model, url, "after")
    trial.environment["LOOKS"] = "yes"
    model.asked.clear()
    steps = [trial.say("start"), trial.say("decide", "approve"), trial.say("resume")]
    if steps[-1] != END:
        steps.append(trial.say("decide", "approve"))
    report(f"{MOMENTS['after']}, with a tool that looks first", steps, trial, len(model.asked))


def decided(python: str, name: str, model: Model, url: str) -> None:
    """Decide twice at the same time, with another amount, against it, and twice one after the other."""
    model.asked.clear()
    trial = Trial(python, name, model, url)
    trial.environment["TAKES"] = "3"
    steps = [trial.say("start"), *map(trial.ended, [trial.begun("decide", "approve") for _ in range(2)])]
    report("two people decide at the same time", steps, trial, len(model.asked))
    for verdict, words in {"edit": ("edit", "60"), "reject": ("reject",), "twice": ("approve",)}.items():
        if verdict == "edit" and name in CANNOT_EDIT:
            continue
        model.asked.clear()
        trial = Trial(python, name, model, url)
        steps = [trial.say("start"), trial.say("decide", *words)]
        if verdict == "twice":
            steps.append(trial.say("decide", *words))
        report(verdict, steps, trial, len(model.asked))
        if model.asked:
            told = model.asked[-1].get("messages") or model.asked[-1]["input"]
            print("        the model is told:", json.dumps(told[-2:]), flush=True)


def main(peers: str, *names: str) -> None:
    """Start the model and try all of them."""
    folder = Path(tempfile.mkdtemp())
    (folder / "nothing.json").write_text('{"fixtures": []}')
    command = [node(), str(package() / "dist" / "cli.js"), "--port", "0", "--fixtures", str(folder / "nothing.json")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        address = until(lambda: _address(folder / "log"), "aimock listened")
        script(Aimock(address))
        model = Model(address)
        front = serving(model)
        for name in names or ("agentflow", "langgraph", "pydantic_ai", "pydantic_ai_dbos", "openai_agents"):
            python = sys.executable if name == "agentflow" else peers
            url = f"http://127.0.0.1:{front.server_address[1]}"
            print(name, flush=True)
            killed(python, name, model, url)
            looking(python, name, model, url)
            decided(python, name, model, url)
        front.shutdown()
    finally:
        server.terminate()
        server.wait(10)


def _address(log: Path) -> str:
    return next((line.rpartition(" ")[2] for line in log.read_text().splitlines() if "listening on" in line), "")


if __name__ == "__main__":
    main(*sys.argv[1:])
