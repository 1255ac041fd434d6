"""Why a value cannot be stored, and what to do instead."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from agentflow.later import is_imported, later

if TYPE_CHECKING:
    import pydantic
else:
    pydantic = later("pydantic")

TOO_DEEP = "it is nested more than 200 deep; flatten it or store it elsewhere and pass a reference"


def is_secret(value: Any) -> bool:
    """Whether this is one of pydantic's secrets, whose text is to be seen by nobody."""
    return is_imported("pydantic") and isinstance(value, (pydantic.SecretStr, pydantic.SecretBytes, pydantic.Secret))


def remedy_for(value: Any) -> str:
    """What to do instead of storing this value."""
    return next(remedy for applies, remedy in _REMEDIES if applies(value))


def type_name(value: Any) -> str:
    """The name of a value's type, with its module unless that is Python itself."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


_REMEDIES = (
    (
        is_secret,
        "a secret would be readable in the journal; read it inside the step that needs it",
    ),
    (
        lambda value: isinstance(value, BaseException),
        "raise it, or return what is worth keeping of it as data",
    ),
    (
        lambda value: inspect.isawaitable(value) or isinstance(value, asyncio.Future),
        "await it and return its result",
    ),
    (
        lambda value: inspect.isgenerator(value) or inspect.isasyncgen(value),
        "return a list of what it yields",
    ),
    (
        callable,
        "code is not data; pass a name or a value and look the code up where it is used",
    ),
    (
        lambda _value: True,
        "open or make it inside the step that uses it, and return plain data, a dataclass or a pydantic model",
    ),
)
