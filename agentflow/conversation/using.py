"""Tool calls as the journal tells them: what a model wished for, who let it pass, what came of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from agentflow.conversation.records import Gate, ToolUse
from agentflow.conversation.speaking import missed
from agentflow.conversation.stored import failure_of, first_of, object_of, text_of, value_of
from agentflow.states import EntryKind, WaitKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow.conversation.records import Answer, Line
    from agentflow.records import Entry

BRANCH: Final = re.compile(r"gather#\d+\[(\d+)\]\Z")
GATE: Final = ".approval"
CALLS: Final = frozenset({"tool", "task"})
OPEN: Final = frozenset({"wanted", "waiting", "running", "retrying"})
LET_PASS: Final = frozenset({"approved", "corrected"})
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9]+")


class Using:
    """The tool calls and the gates among the lines of one conversation."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines
        self._places: dict[str, int] = {}
        self._gates: dict[str, int] = {}
        self._latest: list[int] = []

    def wanted(self, answer: Answer, entry: Entry) -> None:
        """Take in the calls that an answer asks for. Those of the answer before that were never made stay so."""
        for place in self._latest:
            use = self._use(place)
            if use.state == "wanted":
                self._lines[place] = replace(use, state="skipped")
        self._latest = []
        for call in answer.calls:
            self._latest.append(len(self._lines))
            use = ToolUse(seq=entry.seq, at=entry.at, tool=call.name, state="wanted")
            self._lines.append(replace(use, call_id=call.id, arguments=call.arguments))

    def went_inside(self, path: str, entry: Entry, rest: str) -> None:
        """An agent began to answer a call, in a conversation of its own at `path`."""
        segments = rest.split("/")
        place = self._place_of(path[:-1], entry, segments, segments[-1].partition("#")[0])
        use = self._use(place)
        self._lines[place] = replace(use, state="running" if use.state in OPEN else use.state, inside=path)

    def read(self, entry: Entry, segments: list[str]) -> None:
        """Take in an entry of a tool call or a gate; `segments` are those of its key within the conversation."""
        if entry.operation == WaitKind.APPROVAL:
            self._gate(entry, segments)
            return
        is_known = entry.key in self._places
        is_near = len(segments) == 1 or (len(segments) == 2 and BRANCH.match(segments[0]) is not None)  # noqa: PLR2004  a branch and what it calls
        if not is_known and not (entry.operation in CALLS and is_near):
            return
        name = segments[-1].rpartition("#")[0]
        place = self._place_of(entry.key or "", entry, segments, name)
        use = self._use(place)
        if entry.operation == "tool" and use.given is None:
            use = replace(use, given=_arguments(entry.input))
        self._lines[place] = _changed(use, entry)

    def _gate(self, entry: Entry, segments: list[str]) -> None:
        name = segments[-1].rpartition("#")[0]
        place = self._gates.get(entry.key or "")
        if place is None:
            tool = name.removesuffix(GATE)
            found = self._find(segments, tool, lambda use: use.key is None) if name.endswith(GATE) else None
            place = len(self._lines) if found is None else found
            if found is None:
                self._lines.append(_opened(entry))
            self._gates[entry.key or ""] = place
        line = self._lines[place]
        before = line.gate if isinstance(line, ToolUse) else line
        gate = _answered(before if isinstance(before, Gate) else _opened(entry), entry)
        self._lines[place] = _gated(line, gate) if isinstance(line, ToolUse) else gate

    def _place_of(self, key: str, entry: Entry, segments: list[str], name: str) -> int:
        """Where the line of this call is; one that no model asked for gets a new one."""
        known = self._places.get(key)
        if known is None:
            call_id = text_of(first_of(entry.input).get("call")) if entry.operation == "tool" else ""
            known = self._find(segments, name, lambda use: use.key is None, call_id)
            if known is None:
                known = len(self._lines)
                self._lines.append(ToolUse(seq=entry.seq, at=entry.at, tool=name, state="running"))
            self._places[key] = known
            self._lines[known] = replace(self._use(known), key=key)
        return known

    def _find(
        self, segments: list[str], name: str, is_free: Callable[[ToolUse], bool], call_id: str = ""
    ) -> int | None:
        """The call of the latest answer that this is: the one of its branch, of its id, or the first of its name."""
        branch = BRANCH.match(segments[0])
        number = int(branch[1]) if branch else 0
        if (branch or len(self._latest) == 1) and number < len(self._latest):
            use = self._use(self._latest[number])
            if is_free(use) and _alike(use.tool, name):
                return self._latest[number]
        free = [place for place in self._latest if is_free(self._use(place)) and _alike(self._use(place).tool, name)]
        same = [place for place in free if call_id and self._use(place).call_id == call_id]
        return next(iter([*same, *free]), None)

    def _use(self, place: int) -> ToolUse:
        use = self._lines[place]
        assert isinstance(use, ToolUse)
        return use


def _alike(asked: str, called: str) -> bool:
    """Whether two names mean one tool: a model knows some under a plainer name."""
    return asked == called or _plainer(asked) == _plainer(called) or called.endswith(f".{asked}")


def _plainer(name: str) -> str:
    return _NOT_IN_A_NAME.sub("_", name).casefold()


def _arguments(text: str | None) -> str | None:
    """The arguments a tool was called with, as JSON text."""
    given = first_of(text)
    return json.dumps(given["arguments"], ensure_ascii=False) if "arguments" in given else None


def _changed(use: ToolUse, entry: Entry) -> ToolUse:
    took = entry.took or use.took
    if entry.kind is EntryKind.SUCCEEDED:
        return replace(use, state="done", result=entry.output, failure=None, took=took)
    if entry.kind is EntryKind.FAILED:
        misses = use.misses + (missed(entry) if use.misses else ())
        return replace(use, state="failed", failure=failure_of(entry.error), misses=misses, took=took)
    if entry.kind is EntryKind.ATTEMPT_FAILED:
        return replace(use, state="retrying", misses=use.misses + missed(entry), took=took)
    if entry.kind is EntryKind.STARTED:
        return replace(use, state="running")
    return use


def _gated(use: ToolUse, gate: Gate) -> ToolUse:
    if gate.state == "pending":
        return replace(use, gate=gate, state="waiting")
    if use.state not in OPEN:
        return replace(use, gate=gate)
    given = use.given if gate.final is None else gate.final
    return replace(use, gate=gate, state="running" if gate.state in LET_PASS else "denied", given=given)


def _opened(entry: Entry) -> Gate:
    return Gate(seq=entry.seq, at=entry.at, key=entry.key or "", approval_id=_told(entry).get("approval", ""))


def _answered(gate: Gate, entry: Entry) -> Gate:
    told = _told(entry)
    if entry.kind is EntryKind.WAIT_OPENED:  # asked, or asked anew because what is asked about has changed
        return replace(_opened(entry), seq=gate.seq, at=gate.at)
    if entry.kind is not EntryKind.WAIT_RESOLVED:
        return gate
    return replace(
        gate,
        state=told.get("outcome") or "answered",
        by=told.get("decided_by", ""),
        comment=told.get("comment", ""),
        approval_id=told.get("approval") or gate.approval_id,
        final=entry.output,
        resolved_at=entry.at,
    )


def _told(entry: Entry) -> dict[str, str]:
    said: Any = object_of(value_of(entry.detail))
    return {name: text_of(value) for name, value in said.items()}
