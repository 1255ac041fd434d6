"""Why a value cannot be stored, and what to do instead."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from pydantic import Secret, SecretBytes, SecretStr

TOO_DEEP = "it is nested more than 200 deep; flatten it or store it elsewhere and pass a reference"
SECRETS = (SecretStr, SecretBytes, Secret)


def remedy_for(value: Any) -> str:
    """What to do instead of storing this value."""
    return next(remedy for applies, remedy in _REMEDIES if applies(value))


def type_name(value: Any) -> str:
    """The name of a value's type, with its module unless that is Python itself."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


_REMEDIES = (
    (
        lambda value: isinstance(value, SECRETS),
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
