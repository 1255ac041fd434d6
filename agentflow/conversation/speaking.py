"""Model calls as the journal tells them: hops of a chain, their failed attempts, and the answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agentflow.conversation.records import Hop, Miss, ModelCall
from agentflow.conversation.stored import (
    answer_of,
    count_of,
    failure_of,
    first_of,
    list_of,
    object_of,
    text_of,
    value_of,
)
from agentflow.states import EntryKind

if TYPE_CHECKING:
    from agentflow.conversation.records import Answer, Line
    from agentflow.records import Entry

NOT_ACCEPTED: Final = ": its answer was not accepted"


class Speaking:
    """The model calls among the lines of one conversation."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines
        self._places: dict[str, int] = {}
        self._groups: dict[str, str] = {}
        self._turns = 0

    def knows(self, key: str) -> bool:
        """Whether the key is that of a hop that has been read of."""
        return key in self._groups

    def read(self, entry: Entry, rest: str) -> Answer | None:
        """Take in an entry of a hop; the answer, if it is one."""
        key = entry.key or ""
        scope, slash, _ = key.rpartition("/")
        group = scope if slash and "/" in rest else key
        self._groups[key] = group
        place = self._places.get(group)
        if place is None:
            place = self._places[group] = len(self._lines)
            self._lines.append(self._begun(entry, group))
        call = self._lines[place]
        assert isinstance(call, ModelCall)
        if not call.fingerprint:
            call = _asked(call, entry)
        hops = {hop.key: hop for hop in call.hops}
        if key not in hops:  # one further in the chain: the answer before it, if there was one, has not been taken
            hops = {one: replace(hop, state="refused") if hop.answer else hop for one, hop in hops.items()}
        hops[key] = _changed(hops.get(key) or _hop(key), entry)
        self._lines[place] = replace(call, hops=tuple(hops.values()))
        return hops[key].answer if hops[key].state == "answered" else None

    def noted(self, entry: Entry) -> None:
        """Take in what a chain says of itself at its end."""
        place = self._places.get(entry.key or "")
        call = None if place is None else self._lines[place]
        if place is None or not isinstance(call, ModelCall):
            return
        said = object_of(value_of(entry.detail))
        unfit = {text_of(one) for one in list_of(said.get("failures"))}
        hops = (replace(hop, state="refused") if f"{hop.model}{NOT_ACCEPTED}" in unfit else hop for hop in call.hops)
        self._lines[place] = replace(call, hops=tuple(hops))

    def _begun(self, entry: Entry, group: str) -> ModelCall:
        self._turns = count_of(first_of(entry.input).get("turn")) or self._turns + 1
        at = entry.at - entry.took if entry.took else entry.at
        return ModelCall(
            seq=entry.seq, at=at, key=group, turn=self._turns, messages=0, fingerprint="", notices=(), hops=()
        )


def _asked(call: ModelCall, entry: Entry) -> ModelCall:
    """The call with what the entry says of the question."""
    asked = first_of(entry.input)
    return replace(
        call,
        messages=count_of(asked.get("messages")),
        fingerprint=text_of(asked.get("fingerprint")),
        notices=tuple(text_of(one) for one in list_of(asked.get("notices"))),
    )


def _hop(key: str) -> Hop:
    return Hop(key=key, model=key.rpartition("/")[2].rpartition("#")[0], state="running")


def _changed(hop: Hop, entry: Entry) -> Hop:
    if entry.kind is EntryKind.SUCCEEDED:
        answer = answer_of(entry.output)
        model = answer.usage.model if answer.usage is not None and answer.usage.model else hop.model
        return replace(hop, state="answered", answer=answer, took=entry.took, model=model)
    if entry.kind in (EntryKind.FAILED, EntryKind.ATTEMPT_FAILED):
        state = "failed" if entry.kind is EntryKind.FAILED else "retrying"
        return replace(hop, state=state, misses=(*hop.misses, *missed(entry)), took=entry.took)
    if entry.kind in (EntryKind.STARTED, EntryKind.WAIT_OPENED, EntryKind.WAIT_RESOLVED):
        return replace(hop, state="retrying" if hop.misses else "running")
    return hop


def missed(entry: Entry) -> tuple[Miss, ...]:
    """The failed attempt that an entry tells of."""
    failure = failure_of(entry.error)
    if failure is None:
        return ()
    return (Miss(attempt=entry.attempt, at=entry.at, took=entry.took, failure=failure),)
