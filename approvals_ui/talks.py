"""The conversations of a run as its page shows them: a stretch of each, no longer than anybody reads at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from agentflow.conversation import Gate, ModelCall, Note, Said, ToolUse
from agentflow.payloads import readable
from approvals_ui import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agentflow.conversation import Conversation, Line
    from agentflow.records import Approval, BudgetState

TURNS: Final = 20
"""Model calls of one conversation on one page."""
ROOM: Final = 120_000
"""Characters that the texts of one page may take, written out."""
BARE: Final = 2_500
"""Characters of a line without its texts, about."""
LONG: Final = 6_000
"""Characters of one text on a run's page; the page of its call has all of them."""
LEAST: Final = 2_000
SHORT: Final = 3_000
KINDS: Final = {Said: "said", ModelCall: "call", ToolUse: "use", Gate: "gate", Note: "note"}


@dataclass(slots=True)
class Room:
    """How much more may be written on a page."""

    left: int = ROOM

    def take(self, weight: int) -> bool:
        """Whether there is room for this."""
        self.left -= weight
        return self.left >= 0


@dataclass(slots=True, kw_only=True)
class Shown:
    """A line on the page. `inside` is the conversation that an agent called by it holds."""

    kind: str
    line: Line
    approval: Approval | None = None
    inside: Talk | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What the model calls of a conversation used, as far as their answers say."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: Decimal = Decimal(0)
    unpriced: int = 0
    uses: int = 0

    @classmethod
    def of(cls, talk: Conversation) -> Sums:
        """The sums of one conversation, those within it left out."""
        used = [call.answer.usage for call in talk.calls if call.answer is not None and call.answer.usage is not None]
        return cls(
            calls=sum(1 for _ in talk.calls),
            input_tokens=sum(one.input_tokens for one in used),
            output_tokens=sum(one.output_tokens for one in used),
            cached_tokens=sum(one.cached_tokens for one in used),
            cost=sum((one.cost for one in used if one.cost is not None), Decimal(0)),
            unpriced=sum(one.cost is None for one in used),
            uses=sum(1 for _ in talk.uses),
        )


@dataclass(slots=True, kw_only=True)
class Talk:
    """A conversation on the page: the lines from the call of turn `first` to that of `last`.

    `before` and `after` count the calls on either side that are left out.
    """

    of: Conversation
    sums: Sums
    depth: int
    budget: BudgetState | None = None
    lines: list[Shown] = field(default_factory=list)
    is_cut: bool = False
    before: int = 0
    after: int = 0
    first: int = 0
    last: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.of.state == "open"


def talks_of(
    found: Sequence[Conversation],
    *,
    approvals: Iterable[Approval] = (),
    budgets: Iterable[BudgetState] = (),
    chosen: str | None = None,
    upto: int | None = None,
) -> list[Talk]:
    """The conversations that stand by themselves, with those inside them.

    Of the `chosen` one the calls before turn `upto` are shown, of each other the latest. What does not fit on the page
    is left out, the innermost first, and the page says so.
    """
    made = {one.path: Talk(of=one, sums=Sums.of(one), depth=0) for one in found}
    by_budget = {one.key: one for one in budgets}
    by_approval = {place: one for one in approvals for place in (one.id, one.key)}
    room = Room()
    for talk in sorted(made.values(), key=lambda one: (one.of.path != chosen, one.of.path.count("/"))):
        talk.depth = talk.of.path.count("/")
        talk.budget = by_budget.get(talk.of.path.removesuffix("/"))
        _fill(talk, room, upto if talk.of.path == chosen else None)
        for shown in talk.lines:
            gate = shown.line.gate if isinstance(shown.line, ToolUse) else shown.line
            if isinstance(gate, Gate):
                shown.approval = by_approval.get(gate.approval_id) or by_approval.get(gate.key)
            if isinstance(shown.line, ToolUse) and shown.line.inside is not None:
                shown.inside = made.get(shown.line.inside)
    inner = {shown.inside.of.path for talk in made.values() for shown in talk.lines if shown.inside is not None}
    return [talk for talk in made.values() if talk.of.path not in inner and _stands_alone(talk, made, chosen)]


def _stands_alone(talk: Talk, made: Mapping[str, Talk], chosen: str | None) -> bool:
    """A conversation within another is shown in its line, or, where that is on another page, when it was asked for."""
    return talk.of.within not in made or talk.of.path == chosen


def _fill(talk: Talk, room: Room, upto: int | None) -> None:
    """Give the conversation its lines: a stretch of whole calls, as many as there is room for, the latest first."""
    parts = list(_parts(talk.of.lines))
    calls = [index for index, part in enumerate(parts) if isinstance(part[0], ModelCall)]
    end = len(parts)
    if upto is not None:
        end = next((index for index in calls if _turn(parts[index]) >= upto), len(parts))
    start, taken = end, 0
    while start and taken < TURNS:
        part = parts[start - 1]
        if not room.take(sum(map(weight, part))) and taken:
            break
        start -= 1
        taken += isinstance(part[0], ModelCall)
    talk.lines = [Shown(kind=KINDS[type(line)], line=line) for part in parts[start:end] for line in part]
    talk.before = sum(index < start for index in calls)
    talk.after = sum(index >= end for index in calls)
    turns = [_turn(parts[index]) for index in calls if start <= index < end]
    talk.first, talk.last = (turns[0], turns[-1]) if turns else (0, 0)
    talk.is_cut = bool(talk.before or talk.after)


def _parts(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """What belongs together: a model call with the tool calls it led to, and all that came before the next."""
    part: list[Line] = []
    for line in lines:
        if isinstance(line, ModelCall) and part:
            yield part
            part = []
        part.append(line)
    if part:
        yield part


def _turn(part: Sequence[Line]) -> int:
    return part[0].turn if isinstance(part[0], ModelCall) else 0


def weight(line: Line) -> int:
    """How many characters a line takes on the page, about."""
    return BARE + sum(len(text.show(one[:LONG])) for one in _texts(line))


def _texts(line: Line) -> Iterator[str]:
    if isinstance(line, Said | Note):
        yield line.text
    elif isinstance(line, ModelCall):
        yield from line.notices
        for hop in line.hops:
            yield from (miss.failure.message for miss in hop.misses)
        if line.answer is not None:
            yield line.answer.text + line.answer.refusal
    elif isinstance(line, ToolUse):
        yield from (line.arguments, line.given or "", line.result or "", (line.result or "")[:SHORT])
        yield "" if line.failure is None else line.failure.message


def left_of(budget: BudgetState) -> list[dict[str, object]]:
    """The limits of a budget as bars: what is spent of how much, and the share from 0 to 100."""
    bars: list[dict[str, object]] = []
    if budget.tokens is not None:
        left = max(0, budget.tokens - budget.spent.tokens)
        spent, limit = text.count(budget.spent.tokens), text.count(budget.tokens)
        share = _share(budget.spent.tokens, budget.tokens)
        bars.append({"name": "Tokens", "spent": spent, "limit": limit, "left": text.count(left), "share": share})
    if budget.cost is not None:
        left_cost = max(Decimal(0), budget.cost - budget.spent.cost)
        spent, limit = text.money(budget.spent.cost), text.money(budget.cost)
        share = _share(budget.spent.cost, budget.cost)
        bars.append({"name": "Cost", "spent": spent, "limit": limit, "left": text.money(left_cost), "share": share})
    for bar in bars:
        bar["tone"] = _tone(int(str(bar["share"])), budget.warn_at)
    return bars


def _tone(share: int, warn_at: float) -> str:
    if share >= 100:  # noqa: PLR2004  all of it
        return "bad"
    return "warn" if share >= warn_at * 100 else "good"


def _share(spent: Decimal | int, limit: Decimal | int) -> int:
    return min(100, int(spent * 100 / limit)) if limit else 100


def cut(value: str, longest: int = LONG) -> str:
    """The beginning of a long text."""
    return value if len(value) <= longest else f"{value[:longest]}…"


def arguments(value: str | None) -> str:
    """Arguments as a model wrote them: indented where they are JSON, else to the letter."""
    try:
        found = json.loads(value or "")
    except (ValueError, RecursionError):
        return text.plain(value)
    return text.pretty_json(found)


def one_line(payload: str | None) -> str:
    """A stored result in a line: a text as it is."""
    value = None if payload is None else readable(payload)
    return value if isinstance(value, str) else text.short(payload, LEAST)
