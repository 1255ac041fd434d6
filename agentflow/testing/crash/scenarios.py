"""What is done to a run in a crash test: every scenario, made from what an undisturbed run was seen to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from agentflow.events import Event, WaitOpened
from agentflow.states import WaitKind
from agentflow.testing.answers import FOR_EVENTS, name_of
from agentflow.testing.crash.mortal import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agentflow.records import Run

WaitId = tuple[str, str]
"""A wait, by the task that waits and the key; callbacks by the task and their name, however they are awaited."""


class When(StrEnum):
    """When a wait gets its answer: at once, before the run rests; long after; or more than once."""

    EARLY = "early"
    LATE = "late"
    TWICE = "twice"


ANSWERED: Final = frozenset({WaitKind.APPROVAL, WaitKind.EVENT, WaitKind.MESSAGE, WaitKind.CALLBACK})
TIMED: Final = frozenset({WaitKind.TIMER, WaitKind.RETRY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way of disturbing a run.

    With `dies_always` each further worker dies at its second write. The events of subject `ahead` are sent before
    anybody waits for them.
    """

    kind: str
    said: str
    dies_at: int = 0
    place: Place = Place.BEFORE
    dies_always: bool = False
    replays: bool = False
    sends: int = 1
    answers: Mapping[WaitId, When] = field(default_factory=dict)
    ahead: str | None = None

    def when(self, wait: WaitId) -> When | None:
        """When this wait is answered; None as soon as the run rests."""
        return self.answers.get(wait)


UNDISTURBED: Final = Scenario(kind="undisturbed", said="undisturbed")


def scenarios(writes: Sequence[str], waits: Mapping[WaitId, WaitOpened]) -> Iterator[Scenario]:
    """Every scenario for a run whose turns made these writes and which opened these waits."""
    for number, write in enumerate(writes, start=1):
        for place in (Place.AFTER,) if write == "claim" else Place:
            said = f"killed {place} write {number} ({write})"
            yield Scenario(kind="kill", said=said, dies_at=number, place=place)
    said = "killed after every write, and every worker after it too"
    yield Scenario(kind="kill", said=said, dies_at=2, place=Place.AFTER, dies_always=True)
    yield Scenario(kind="replay", said="replayed at every operation", replays=True)
    twice = dict.fromkeys((wait for wait, opened in waits.items() if opened.kind in ANSWERED), When.TWICE)
    yield Scenario(kind="duplicate", said="every delivery sent twice", sends=2, answers=twice)
    said = "every delivery sent twice, replayed at every operation"
    yield Scenario(kind="duplicate", said=said, sends=2, answers=twice, replays=True)
    for wait, opened in waits.items():
        for when in _ways(opened):
            said = f"{opened.kind} {wait[1]} of {wait[0]} answered {when}"
            is_ahead = when is When.EARLY and opened.kind in FOR_EVENTS
            ahead = opened.subject if is_ahead else None
            yield Scenario(kind="wait", said=said, answers={wait: when}, ahead=ahead)


def _ways(opened: WaitOpened) -> tuple[When, ...]:
    if opened.kind in ANSWERED:
        return tuple(When)
    return (When.EARLY, When.LATE) if opened.kind in TIMED else ()


def waits_of(told: Iterable[tuple[Run, Sequence[Event]]]) -> dict[WaitId, WaitOpened]:
    """The waits that were opened, by the task that waits and the key; the first where there are several."""
    found: dict[WaitId, WaitOpened] = {}
    for run, events in told:
        for event in events:
            if isinstance(event, WaitOpened):
                found.setdefault((run.task, _named(event)), event)
    return found


def _named(opened: WaitOpened) -> str:
    return name_of(opened.key).removesuffix(".result") if opened.kind is WaitKind.CALLBACK else opened.key
