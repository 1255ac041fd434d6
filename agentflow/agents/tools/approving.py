"""Which calls of a tool a person is asked about, and how."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agentflow.durations import duration
from agentflow.errors import DefinitionError
from agentflow.runtime.waiting.asking import RISKS
from agentflow.states import Verdict

if TYPE_CHECKING:
    from datetime import timedelta

Arguments = Mapping[str, Any]
Rule = Callable[[Arguments], Any]
_ON_TIMEOUT: Final = ("reject", "raise")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPolicy:
    """Which calls need a person, and how they are asked.

    `when` is a rule that is given the call's arguments by name, as the values the tool itself would get, and says
    whether a person is asked; it is sync or async, and without one every call is asked about. Where a rule raises, a
    person is asked and told so. `title` and `body` (Markdown) are texts, or functions of the arguments that give one.
    Without an answer within `timeout` the call is refused, or with `on_timeout="raise"` the run told. `allow` are the
    verdicts a person may give. With `standing=False` each call is looked at by itself: no standing approval decides it.
    Raises `DefinitionError`.
    """

    when: Rule | None = None
    title: str | Callable[[Arguments], str] = ""
    body: str | Callable[[Arguments], str] = ""
    risk: str = ""
    timeout: str | float | timedelta | None = None
    on_timeout: str = "reject"
    allow: Sequence[str] = ("approve", "correct", "reject")
    priority: int = 0
    standing: bool = True

    def __post_init__(self) -> None:
        if self.when is not None:
            _require_rule(self.when)
        verdicts = [verdict.value for verdict in Verdict]
        if isinstance(self.allow, str) or not self.allow or not set(self.allow) <= set(verdicts):
            raise DefinitionError(f"ApprovalPolicy(allow={self.allow!r}): wanted some of {', '.join(verdicts)}")
        if self.on_timeout not in _ON_TIMEOUT:
            raise DefinitionError(
                f"ApprovalPolicy(on_timeout={self.on_timeout!r}): wanted 'reject' or 'raise'; a call is not made "
                "because nobody looked at it"
            )
        if self.risk not in RISKS:
            wanted = ", ".join(RISKS[1:])
            raise DefinitionError(f"ApprovalPolicy(risk={self.risk!r}): wanted one of {wanted}, or nothing")
        if self.timeout is not None:
            duration(self.timeout)

    async def asks(self, arguments: Arguments) -> Gate:
        """Whether a person is asked about a call with these arguments, and why if the rule could not say."""
        if self.when is None:
            return Gate(asks=True)
        try:
            found = self.when(arguments)
            if inspect.isawaitable(found):
                found = await found
            return Gate(asks=bool(found))
        except Exception as error:  # noqa: BLE001  whatever keeps the rule from saying, it has not said that it may be
            return Gate(asks=True, because=f"the rule that says whether to ask raised {type(error).__name__}: {error}")

    def question(self, arguments: Arguments, *, because: str = "") -> dict[str, Any]:
        """What `wait_for_approval` is to be told of such a call, besides the arguments and the schema."""
        return {
            "title": _text(self.title, arguments),
            "body": _text(self.body, arguments),
            "reason": because,
            "risk": self.risk,
            "timeout": self.timeout,
            "on_timeout": self.on_timeout,
            "allow": tuple(self.allow),
            "priority": self.priority,
            "standing": self.standing,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Whether a person is asked about a call; `because` says why where it is not the rule's own answer."""

    asks: bool
    because: str = ""

    def __bool__(self) -> bool:
        return self.asks


def policy_of(tool: str, needs_approval: bool | Rule | ApprovalPolicy | None) -> ApprovalPolicy | None:
    """The policy that `needs_approval=` stands for. Raises `DefinitionError`."""
    if needs_approval is None or needs_approval is False:
        return None
    if needs_approval is True:
        return ApprovalPolicy()
    if isinstance(needs_approval, ApprovalPolicy):
        return needs_approval
    if not callable(needs_approval):
        raise DefinitionError(
            f"tool {tool!r}, needs_approval={needs_approval!r}: wanted True, a rule (a function of the arguments), or "
            "an ApprovalPolicy"
        )
    return ApprovalPolicy(when=needs_approval)


def _require_rule(rule: Rule) -> None:
    """Raise `DefinitionError` for a rule that cannot be called with the arguments."""
    if not callable(rule):
        raise DefinitionError(f"ApprovalPolicy(when={rule!r}): wanted a function of the arguments, or None for always")
    try:
        inspect.signature(rule).bind({})
    except TypeError:
        raise DefinitionError(
            f"the rule {getattr(rule, '__qualname__', rule)}{inspect.signature(rule)} is called with one thing, the "
            'arguments by name: write `lambda args: args["amount"] > 50`'
        ) from None
    except ValueError:  # written in C: what it takes shows when it is called
        return


def _text(given: str | Callable[[Arguments], str], arguments: Arguments) -> str:
    """The text; that of a function which raises says so, since a person must be asked all the same."""
    if not callable(given):
        return given
    try:
        return str(given(arguments))
    except Exception as error:  # noqa: BLE001  a title that cannot be made is no reason not to ask
        return f"(its text could not be made: {type(error).__name__}: {error})"
