"""What may be said of a model besides its name, checked where it is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

from agentflow.agents.models.prices import Prices, checked
from agentflow.agents.models.providers import checked_url
from agentflow.durations import duration
from agentflow.errors import DefinitionError, InvalidDuration, InvalidSetting

if TYPE_CHECKING:
    import httpx

LARGEST: Final = 64 * 1024 * 1024
Span = str | float | timedelta


class ModelOptions(TypedDict, total=False):
    """The options of `model`, as they are written."""

    base_url: str
    key: str
    api_version: str
    timeout: Span
    connect_timeout: Span
    read_timeout: Span
    max_size: int
    stream: bool
    headers: Mapping[str, str]
    prices: Prices
    http: httpx.AsyncClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one model. `timeout` bounds a whole call; `read_timeout` the silence within a streamed answer.

    An answer of more than `max_size` bytes is cut off. With `stream=False` it is asked for in one piece, also where
    somebody follows it. `http` is a client of your own, which you close.
    """

    base_url: str = ""
    key: str = field(default="", repr=False)
    api_version: str = ""
    timeout: timedelta = timedelta(minutes=10)
    connect_timeout: timedelta = timedelta(seconds=10)
    read_timeout: timedelta = timedelta(minutes=2)
    max_size: int = LARGEST
    stream: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    prices: Prices | None = None
    http: httpx.AsyncClient | None = None

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any]) -> Options:
        """The options given for the model of this name. Raises `DefinitionError`."""
        unknown = sorted(set(given) - set(cls.__dataclass_fields__))
        if unknown:
            raise DefinitionError(
                f"model({name!r}, {unknown[0]}=…): there is no such option; wanted one of "
                f"{', '.join(cls.__dataclass_fields__)}"
            )
        try:
            return cls(**dict(given) | {key: _value(key, value) for key, value in given.items()})
        except (DefinitionError, InvalidDuration, InvalidSetting) as error:
            raise DefinitionError(f"model({name!r}, …): {error}") from None


def _value(key: str, value: Any) -> Any:
    check = _CHECKS.get(key)
    return value if check is None else check(key, value)


def _span(key: str, value: Any) -> timedelta:
    span = duration(value)
    if not span:
        raise DefinitionError(f"{key}={value!r}: wanted a span longer than nothing")
    return span


def _size(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise DefinitionError(f"{key}={value!r}: wanted a whole number of bytes, 1 or more")
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise DefinitionError(f"{key}=…: wanted a text")
    return checked_url(value, "base_url=") if key == "base_url" and value else value


def _headers(key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(one, str) for pair in value.items() for one in pair):
        raise DefinitionError(f"{key}=…: wanted texts by name")
    return dict(value)


_CHECKS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "timeout": _span,
    "connect_timeout": _span,
    "read_timeout": _span,
    "max_size": _size,
    "base_url": _text,
    "key": _text,
    "api_version": _text,
    "headers": _headers,
    "prices": lambda _, value: checked(value),
}
