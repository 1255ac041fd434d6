"""What a tool may do to the world, and what that means for a call that fails or is cut off."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import DefinitionError
from agentflow.tasks.step import Effect

if TYPE_CHECKING:
    from collections.abc import Mapping


class ToolEffect(StrEnum):
    """What a call of a tool does to the world, the least grave first."""

    READ = "read"
    """Nothing: it may be made again at any time."""
    IDEMPOTENT = "idempotent"
    """The same when it is made twice with the same idempotency key: after a crash it is made again."""
    COMPENSABLE = "compensable"
    """Something that `undo=` takes back; after a crash the call is made again, with the same idempotency key."""
    IRREVERSIBLE = "irreversible"
    """Something for good. A call that was cut off is never made again unless it is known that it did not happen."""

    @property
    def of_step(self) -> Effect:
        """What it means for the step that a call is."""
        return Effect.AT_MOST_ONCE if self is ToolEffect.IRREVERSIBLE else Effect.AT_LEAST_ONCE

    def exceeds(self, other: ToolEffect) -> bool:
        """Whether it is graver than the other."""
        order = list(ToolEffect)
        return order.index(self) > order.index(other)


_IMPLIED: Final = (
    ("undo", ToolEffect.COMPENSABLE),
    ("lookup", ToolEffect.IRREVERSIBLE),
    ("needs_approval", ToolEffect.IRREVERSIBLE),
)


def effect_of(tool: str, options: Mapping[str, Any]) -> ToolEffect:
    """The effect that a tool's options name or imply. Raises `DefinitionError` for options that contradict it."""
    given = options.get("effect")
    if given is None:
        effect = next((implied for name, implied in _IMPLIED if options.get(name)), ToolEffect.IDEMPOTENT)
    else:
        effect = _named(tool, given)
    if effect is ToolEffect.COMPENSABLE and options.get("undo") is None:
        raise DefinitionError(
            f"tool {tool!r} is compensable and nothing says how: give undo=, a function that takes the same arguments"
        )
    if effect is not ToolEffect.COMPENSABLE and options.get("undo") is not None:
        raise DefinitionError(f"tool {tool!r} has undo= and is {effect}: what can be undone is effect='compensable'")
    if effect is not ToolEffect.IRREVERSIBLE and options.get("lookup") is not None:
        raise DefinitionError(
            f"tool {tool!r} has lookup= and is {effect}: a call of it is just made again after a crash; leave lookup= "
            "out, or say effect='irreversible'"
        )
    return effect


def _named(tool: str, given: Any) -> ToolEffect:
    try:
        return ToolEffect(given)
    except ValueError:
        known = ", ".join(repr(one.value) for one in ToolEffect)
        raise DefinitionError(f"tool {tool!r}, effect={given!r}: wanted one of {known}") from None
