"""A tool call that waits for a decision: what will be called, said by us, apart from what its agent says of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.approvals.calls import call_title, telling
from agentflow.approvals.text import escape_hidden
from agentflow.client.standing import may_make

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.records import Approval

SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument as one line: `text` is the whole value, or its beginning where it is long."""

    name: str
    text: str
    more: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, as the stored request has it. `others` are the calls its agent asked for in the same turn."""

    tool: str
    arguments: Sequence[Argument]
    effect: str
    others: Sequence[Approval]
    place: int
    of: int
    may_stand: bool

    @property
    def waiting(self) -> int:
        """How many calls of the turn wait, this one among them."""
        return 1 + sum(one.is_pending for one in self.others)


def call_of(approval: Approval, asked: Sequence[Approval]) -> Call | None:
    """The call that the approval is about, `asked` being all approvals of its run; None where it is about no tool."""
    if not approval.tool:
        return None
    data, tags = json.loads(approval.data), json.loads(approval.tags)
    arguments = data.items() if isinstance(data, dict) else [("", data)]
    turn = _turn_of(approval)
    others = tuple(one for one in asked if one.key != approval.key and _turn_of(one) == turn is not None)
    return Call(
        tool=approval.tool,
        arguments=tuple(_argument(name, value) for name, value in arguments),
        effect=tags.get("effect", ""),
        others=tuple(sorted(others, key=_place)),
        place=_place(approval),
        of=max(_number(tags.get("of")), 1 + len(others)),
        may_stand=may_make(approval),
    )


def headline(approval: Approval) -> str:
    """What a request is called in headings and titles. That of a call has no word of an agent in it."""
    return f"Call {approval.tool}" if approval.tool else approval.title


def own_title(approval: Approval) -> str:
    """The title that the tool's definition gives a call; "" where it is only the call's name."""
    named = (headline(approval), call_title(approval.tool, json.loads(approval.data)))
    return "" if not approval.tool or approval.title in named else approval.title


def most_telling(approval: Approval) -> Sequence[tuple[str, str]]:
    """A few arguments for a line of the inbox."""
    return telling(json.loads(approval.data))


def _argument(name: str, value: Any) -> Argument:
    text = escape_hidden(json.dumps(value, ensure_ascii=False))
    return Argument(name, text[:SHOWN], max(0, len(text) - SHOWN))


def _turn_of(approval: Approval) -> tuple[str, str, str] | None:
    """Which turn of which agent asked for the call, told by its tags and where it stands in the run."""
    tags = json.loads(approval.tags)
    if not approval.tool or "turn" not in tags:
        return None
    scope = approval.key.rpartition("[")[0] or approval.key.rpartition("/")[0]
    return scope, str(tags.get("agent", "")), str(tags["turn"])


def _place(approval: Approval) -> int:
    return _number(json.loads(approval.tags).get("call"))


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 6 else 0  # noqa: PLR2004  no turn has that many calls
