"""A conversation at the terminal: who said it, what was called, who let it pass."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentflow.cli.costs import dollars
from agentflow.cli.terminal import write
from agentflow.conversation import Gate, ModelCall, Note, Said, ToolUse
from agentflow.durations import describe
from agentflow.payloads import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentflow.conversation import Conversation, Line
    from agentflow.usage import Usage

LONGEST = 2_000
SHORT = 160
STYLES = {
    "done": "green",
    "failed": "red",
    "denied": "red",
    "waiting": "yellow",
    "running": "blue",
    "retrying": "yellow",
}
STATES = {
    "wanted": "to be called",
    "waiting": "waits for a person",
    "running": "under way",
    "retrying": "is tried again",
    "skipped": "was not called; the model was told why",
}


def write_conversations(found: Sequence[Conversation]) -> None:
    """Every conversation of a run; one that an agent called holds stands within the call."""
    inside = {one.path: one for one in found}
    for talk in found:
        if talk.within not in inside:
            _write(talk, inside, "")


def _write(talk: Conversation, inside: Mapping[str, Conversation], margin: str) -> None:
    told = f"{talk.agent}  {' -> '.join(talk.models)}" + (f"  thread {talk.thread}" if talk.thread else "")
    write(f"{margin}{told}", "bold")
    for line in talk.lines:
        _WRITERS[type(line)](line, margin + "  ")
        if isinstance(line, ToolUse) and line.inside is not None and line.inside in inside:
            _write(inside[line.inside], inside, margin + "      ")
    if talk.failure is not None:
        write(f"{margin}  {_class(talk.failure.type)}: {_cut(talk.failure.message, LONGEST)}", "red")
    elif talk.state == "done":
        _write_text(margin + "  ", "result", _text(talk.output), "green")


def _said(line: Said, margin: str) -> None:
    _write_text(margin, line.by or line.who, line.text, "cyan" if line.who == "person" else "")


def _called(line: ModelCall, margin: str) -> None:
    for notice in line.notices:
        _write_text(margin, "notice", notice, "yellow")
    for hop in line.hops:
        for (name, message), times in hop.reasons.items():
            often = f", {times} times" if times > 1 else ""
            write(f"{margin}! {hop.model}{often}: {name}: {_cut(message, SHORT)}", "yellow")
        if hop.state == "refused":
            write(f"{margin}! {hop.model}: its answer was not accepted", "yellow")
    answer = line.answer
    if answer is None:
        return
    if answer.text or answer.refusal:
        _write_text(margin, "model", answer.text or f"refused: {answer.refusal}", "")
    took = "" if line.took is None else f" · {describe(line.took)}"
    write(f"{margin}        turn {line.turn}: {_used(answer.usage, answer.model)}{took}", "dim")


def _used(usage: Usage | None, model: str) -> str:
    if usage is None:
        return model
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    price = "no price known" if usage.cost is None else dollars(usage.cost)
    return f"{usage.model} · {usage.input_tokens:,} in{cached} · {usage.output_tokens:,} out · {price}"


def _use(line: ToolUse, margin: str) -> None:
    arguments = _cut(" ".join((line.given or line.arguments).split()), SHORT)
    ended = STATES.get(line.state, line.state)
    if line.state == "done":
        ended = _cut(" ".join(_text(line.result).split()), SHORT)
    elif line.failure is not None:
        ended = f"{_class(line.failure.type)}: {_cut(line.failure.message, SHORT)}"
    write(f"{margin}> {line.tool} {arguments} -> {ended}", STYLES.get(line.state, ""))
    if line.gate is not None:
        _gate(line.gate, margin + "  ")


def _gate(line: Gate, margin: str) -> None:
    comment = f": {_cut(line.comment, SHORT)}" if line.comment else ""
    by = f" by {line.by}" if line.by else ""
    write(f"{margin}? {line.key} {line.state}{by}{comment}  {line.approval_id}", STYLES.get(line.state, "dim"))


def _note(line: Note, margin: str) -> None:
    write(f"{margin}· {'the instructions have changed' if line.what == 'instructions' else line.text}", "dim")


_WRITERS: dict[type[Line], Callable[[Any, str], None]] = {
    Said: _said,
    ModelCall: _called,
    ToolUse: _use,
    Gate: _gate,
    Note: _note,
}


def _write_text(margin: str, who: str, text: str, style: str) -> None:
    first, *others = _cut(text, LONGEST).splitlines() or [""]
    write(f"{margin}{who:<8}{first}", style)
    for line in others:
        write(f"{margin}        {line}", style)


def _text(payload: str | None) -> str:
    value = None if payload is None else readable(payload)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _class(name: str) -> str:
    return name.rpartition(":")[2]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


# -- for a program


def conversation_document(talk: Conversation) -> dict[str, Any]:
    """A conversation as JSON: its lines in order, each with its `kind`."""
    return {
        "path": talk.path,
        "agent": talk.agent,
        "state": talk.state,
        "models": list(talk.models),
        "thread": talk.thread,
        "instructions": talk.instructions,
        "lines": [_document(line) for line in talk.lines],
        "output": None if talk.output is None else readable(talk.output),
    }


def _document(line: Line) -> dict[str, Any]:
    if isinstance(line, Said):
        return {"kind": "said", "who": line.who, "by": line.by, "text": line.text}
    if isinstance(line, ModelCall):
        return _call_document(line)
    if isinstance(line, ToolUse):
        return {
            "kind": "tool",
            "tool": line.tool,
            "key": line.key,
            "state": line.state,
            "arguments": line.given or line.arguments,
            "result": None if line.result is None else readable(line.result),
            "error": None if line.failure is None else line.failure.message,
            "gate": None if line.gate is None else _document(line.gate),
            "inside": line.inside,
        }
    if isinstance(line, Gate):
        told = {"approval": line.approval_id, "state": line.state, "by": line.by, "comment": line.comment}
        return {"kind": "gate", "key": line.key, **told}
    return {"kind": line.what, "key": line.key, "text": line.text}


def _call_document(line: ModelCall) -> dict[str, Any]:
    answer = line.answer
    usage = None if answer is None else answer.usage
    return {
        "kind": "model",
        "key": line.key,
        "turn": line.turn,
        "notices": list(line.notices),
        "hops": [
            {"model": hop.model, "state": hop.state, "errors": [miss.failure.message for miss in hop.misses]}
            for hop in line.hops
        ],
        "text": None if answer is None else answer.text,
        "calls": [] if answer is None else [{"id": one.id, "name": one.name} for one in answer.calls],
        "input_tokens": None if usage is None else usage.input_tokens,
        "output_tokens": None if usage is None else usage.output_tokens,
        "cost_usd": None if usage is None or usage.cost is None else f"{usage.cost:f}",
        "took": None if line.took is None else line.took.total_seconds(),
    }
