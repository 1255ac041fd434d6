"""What was said in a run, as frozen records: agent calls, what models answered, tools, gates, and what came between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta

    from agentflow.failures import Failure
    from agentflow.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A text in a conversation. `who` is a message's role, or `person` for somebody who steered the run (`by`).

    `event_id` is that of such a message.
    """

    seq: int
    at: datetime
    who: str
    text: str
    by: str = ""
    key: str | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A call that a model asked for, with the very text it wrote as the arguments."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model answered; `recorded` is the reply as JSON text."""

    text: str
    refusal: str
    calls: tuple[Wanted, ...]
    finish: str
    model: str
    response_id: str
    usage: Usage | None
    recorded: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """An attempt that failed."""

    attempt: int
    at: datetime
    took: timedelta | None
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One model of a chain. `state` is `running`, `retrying`, `failed`, `refused` (its answer was) or `answered`."""

    key: str
    model: str
    state: str
    misses: tuple[Miss, ...] = ()
    answer: Answer | None = None
    took: timedelta | None = None

    @property
    def reasons(self) -> dict[tuple[str, str], int]:
        """Why its attempts failed, class and message, each with how often."""
        told: dict[tuple[str, str], int] = {}
        for miss in self.misses:
            reason = miss.failure.type.rpartition(":")[2], miss.failure.message
            told[reason] = told.get(reason, 0) + 1
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One question to a chain of models. `messages` is how many it was asked with, `fingerprint` their digest."""

    seq: int
    at: datetime
    key: str
    turn: int
    messages: int
    fingerprint: str
    notices: tuple[str, ...]
    hops: tuple[Hop, ...]

    @property
    def answer(self) -> Answer | None:
        """The answer that counts, once there is one."""
        return next((hop.answer for hop in reversed(self.hops) if hop.state == "answered"), None)

    @property
    def took(self) -> timedelta | None:
        """How long the attempt took that gave the answer."""
        return next((hop.took for hop in reversed(self.hops) if hop.state == "answered"), None)

    @property
    def has_trouble(self) -> bool:
        """Whether anything failed on the way to the answer."""
        return any(hop.misses or hop.state == "refused" for hop in self.hops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A question to a person. `state` is `pending` or how it ended; `final` the JSON they let pass, if any."""

    seq: int
    at: datetime
    key: str
    approval_id: str
    state: str = "pending"
    by: str = ""
    comment: str = ""
    final: str | None = None
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A tool call, from the model's wish to what came of it.

    `state` is `wanted`, `waiting` (for a person), `running`, `retrying`, `done`, `failed`, `denied`, or `skipped` where
    the model was told why it was not made. `given` are the arguments it was made with, as JSON text; `inside` is the
    path of the conversation that an agent held to answer it.
    """

    seq: int
    at: datetime
    tool: str
    state: str
    call_id: str = ""
    arguments: str = ""
    key: str | None = None
    given: str | None = None
    result: str | None = None
    failure: Failure | None = None
    misses: tuple[Miss, ...] = ()
    gate: Gate | None = None
    took: timedelta | None = None
    inside: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something between the messages. `what` is `instructions`, `compaction` or `thread`; `text` says more of it.

    `recorded` is what the journal has, as JSON text.
    """

    seq: int
    at: datetime
    what: str
    text: str
    key: str
    recorded: str | None = None


Line = Said | ModelCall | ToolUse | Gate | Note


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolTold:
    """A tool as the model is told of it, and whether calls of it may need a person."""

    name: str
    description: str
    effect: str
    gated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One agent call. `path` is where it stands in the journal: "" for the run itself, else a scope with its slash.

    `within` is the path of the conversation around it, None where there is none. `state` is `open`, `done` or `failed`.
    """

    path: str
    within: str | None
    began_at: datetime
    agent: str
    instructions: str
    source: str
    fingerprint: str
    models: tuple[str, ...]
    tools: tuple[ToolTold, ...]
    thread: str | None
    thread_seq: int
    budget: Mapping[str, Any] | None
    output_name: str | None
    lines: tuple[Line, ...]
    state: str = "open"
    output: str | None = None
    failure: Failure | None = None
    ended_at: datetime | None = None

    @property
    def calls(self) -> Iterator[ModelCall]:
        """Its model calls, in order."""
        return (line for line in self.lines if isinstance(line, ModelCall))

    @property
    def uses(self) -> Iterator[ToolUse]:
        """Its tool calls, in order."""
        return (line for line in self.lines if isinstance(line, ToolUse))
