"""What a program wants of another server's tools, whatever that says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from agentflow.agents.tools.effects import ToolEffect
from agentflow.durations import duration
from agentflow.errors import DefinitionError

if TYPE_CHECKING:
    from datetime import timedelta

    from agentflow.agents.tools.approving import ApprovalPolicy, Rule

    Span = str | float | timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is wanted of a server's tools, whatever it says of them.

    `include` and `exclude` are names as the server has them, `*` in them standing for anything; `prefix` goes before
    the names the model is told. `effects` name what a call does, by the server's name of the tool, in place of its
    hints. `needs_approval` holds for every tool, or as a mapping for those it names; with `trust_annotations` not for
    those that the server calls read-only. `options` are those of a tool, for all of them.
    """

    include: Sequence[str] = ("*",)
    exclude: Sequence[str] = ()
    prefix: str = ""
    effects: Mapping[str, ToolEffect | str] = field(default_factory=dict)
    needs_approval: bool | Rule | ApprovalPolicy | Mapping[str, bool | Rule | ApprovalPolicy] = False
    trust_annotations: bool = False
    timeout: Span = 60.0
    connect_timeout: Span = 30.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, patterns in (("include", self.include), ("exclude", self.exclude)):
            if isinstance(patterns, str):
                raise DefinitionError(f"{what}={patterns!r}: wanted a sequence of names of tools")
        for name, effect in self.effects.items():
            if effect not in set(ToolEffect):
                known = ", ".join(repr(one.value) for one in ToolEffect)
                raise DefinitionError(f"effects: {name!r} is {effect!r}; wanted one of {known}")
        for what, span in (("timeout", self.timeout), ("connect_timeout", self.connect_timeout)):
            if not duration(span):
                raise DefinitionError(f"{what}: wanted a span longer than nothing")

    def takes(self, name: str) -> bool:
        """Whether the tool is wanted."""
        is_in = any(fnmatchcase(name, pattern) for pattern in self.include)
        return is_in and not any(fnmatchcase(name, pattern) for pattern in self.exclude)

    def gate(self, name: str, *, is_read: bool) -> Any:
        """Which calls of the tool need a person."""
        if isinstance(self.needs_approval, Mapping):
            return self.needs_approval.get(name)
        return None if self.trust_annotations and is_read else self.needs_approval
