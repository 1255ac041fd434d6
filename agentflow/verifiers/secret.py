"""Secrets that sign webhook requests: given in code, or read from the environment when they are needed."""

from __future__ import annotations

import os
from typing import Self

from agentflow.errors import DefinitionError, InvalidSetting


class Secret:
    """A text that is never shown: not by `repr`, not in logs, not in errors."""

    __slots__ = ("_text", "_variable")

    def __init__(self, text: str = "", *, variable: str = "") -> None:
        """Raises `DefinitionError` if there is neither a text nor a variable: an empty secret signs for everybody."""
        if not isinstance(text, str) or not isinstance(variable, str) or not (text.strip() or variable.strip()):
            raise DefinitionError("a webhook's secret is empty, so anybody could sign; give one, or Secret.env(NAME)")
        self._text = text
        self._variable = variable

    @classmethod
    def env(cls, variable: str) -> Self:
        """The secret held by this environment variable, read at start-up and at each request."""
        return cls(variable=variable)

    @property
    def is_literal(self) -> bool:
        """Whether the text stands in the code, so that it can be checked where it is declared."""
        return not self._variable

    def reveal(self) -> str:
        """The secret's text. Raises `InvalidSetting` naming the environment variable that does not hold it."""
        if self.is_literal:
            return self._text
        text = os.environ.get(self._variable, "")
        if not text.strip():
            state = "empty" if self._variable in os.environ else "not set"
            raise InvalidSetting(f"environment variable {self._variable} is {state}; put the sender's secret in it")
        return text

    def __repr__(self) -> str:
        return "Secret(…)" if self.is_literal else f"Secret.env({self._variable!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._text, self._variable) == (other._text, other._variable)

    def __hash__(self) -> int:
        return hash((self._text, self._variable))
