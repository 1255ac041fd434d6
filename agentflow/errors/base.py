"""What every error of agentflow is, and what one thing wrong with one field looks like."""

from __future__ import annotations

from dataclasses import dataclass


class AgentflowError(Exception):
    """Whatever agentflow itself raises."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field: where (JSON Pointer), what was found and what is wanted."""

    field: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.field or '/'}: found {self.found}; wanted {self.wanted}"
