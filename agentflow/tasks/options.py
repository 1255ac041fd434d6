"""The options of `@task` about how its runs line up, and those of one trigger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict

from agentflow.durations import duration
from agentflow.errors import InvalidSetting, NotRecordable
from agentflow.payloads import json_text, to_json
from agentflow.states import ParentClose
from agentflow.tasks.queue import Batch, Conflict, Debounce, Span
from agentflow.tasks.reading import Cost, Key, amount, key_text

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_IDEMPOTENCY_KEY: Final = 500
MOST_PRIORITY: Final = 10**8
MOST_TAGS: Final = 20
LONGEST_TAG: Final = 100
MOST_METADATA: Final = 16 * 1024


class Lining(TypedDict, total=False):
    """The options of `@task` that say how its runs line up; each may be left out.

    `queue_key` says whose share of the queue a run takes and `cost` what its start takes of the queue's budget: a
    parameter's name or a function of the task's arguments (for `cost` a number or a function). A run that did not start
    within `ttl` expires. `priority` is a head start in seconds. With `singleton` only one run is open at a time, for
    each `singleton_key` if that is given: a further trigger is refused (`"skip"`), cancels the first (`"replace"`) or
    gives it (`"join"`). `debounce` and `batch` make one run of several triggers.
    """

    queue_key: Key | None
    cost: Cost
    ttl: Span | None
    priority: int
    singleton: Conflict | None
    singleton_key: Key | None
    debounce: Debounce | None
    batch: Batch | None


class Options(TypedDict, total=False):
    """The options of one trigger; each may be left out.

    The same `idempotency_key` never makes a second run. It starts after `delay`, not before `at` (an aware datetime),
    with a head start of `priority` seconds; it expires if it did not start within `ttl`, and fails if it has not ended
    by `deadline` (an aware datetime, or a span). `on_parent_close` says what becomes of a child when its parent is
    cancelled or fails. Runs are found by `tags` (at most 20); `metadata`, a JSON object of at most 16 KiB, is kept with
    the run and shown. The others are those of the definition (see `Lining`), as values.
    """

    idempotency_key: str | None
    delay: Span | None
    at: datetime | None
    priority: int | None
    ttl: Span | None
    deadline: datetime | Span | None
    queue_key: str | int | None
    cost: int | None
    singleton: Conflict | None
    singleton_key: str | int | None
    debounce: Debounce | None
    batch: Batch | None
    on_parent_close: ParentClose | str
    tags: Sequence[str] | None
    metadata: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerOptions:
    """The options of one trigger, checked. None where the definition decides."""

    idempotency_key: str | None = None
    delay: timedelta | None = None
    at: datetime | None = None
    priority: int | None = None
    ttl: timedelta | None = None
    deadline: datetime | timedelta | None = None
    queue_key: str | None = None
    cost: int | None = None
    singleton: Conflict | None = None
    singleton_key: str | None = None
    debounce: Debounce | None = None
    batch: Batch | None = None
    on_parent_close: ParentClose = ParentClose.CANCEL
    tags: tuple[str, ...] = ()
    metadata: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The options as given. Raises `InvalidSetting` or `InvalidDuration` naming the one that cannot be."""
        if unknown := set(given) - set(CHECKS):
            raise TypeError(f"unknown options of a trigger: {', '.join(sorted(unknown))}")
        values = {name: CHECKS[name](name, value) for name, value in given.items() if value is not None}
        found = cls(**values)
        if found.delay is not None and found.at is not None:
            raise InvalidSetting("delay= and at= both say when the run starts; give one of them")
        return found


# -- single values


def _idempotency_key(what: str, value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_IDEMPOTENCY_KEY:
        raise InvalidSetting(f"{what} is {value!r}: wanted a text of 1 to {LONGEST_IDEMPOTENCY_KEY} characters")
    return value


def _priority(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MOST_PRIORITY:
        raise InvalidSetting(f"{what} is {value!r}: wanted a whole number of seconds, at most {MOST_PRIORITY:,}")
    return value


def _some_time(what: str, value: Any) -> timedelta:
    span = duration(value)
    if not span:
        raise InvalidSetting(f"{what} is {value!r}: wanted a span longer than nothing")
    return span


def _instant(what: str, value: Any) -> datetime:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidSetting(f"{what} is {value!r}: wanted a datetime with a time zone")
    return value


def _deadline(what: str, value: Any) -> datetime | timedelta:
    return _instant(what, value) if isinstance(value, datetime) else _some_time(what, value)


def _conflict(what: str, value: Any) -> Conflict:
    known: tuple[Conflict, ...] = ("skip", "replace", "join")
    for one in known:
        if value == one:
            return one
    raise InvalidSetting(f'{what} is {value!r}: wanted "skip", "replace" or "join"')


def _of(kind: type[Any]) -> Callable[[str, Any], Any]:
    def check(what: str, value: Any) -> Any:
        if not isinstance(value, kind):
            raise InvalidSetting(f"{what} is {value!r}: wanted a {kind.__name__}")
        return value

    return check


def _parent_close(what: str, value: Any) -> ParentClose:
    try:
        return ParentClose(value)
    except ValueError:
        raise InvalidSetting(f'{what} is {value!r}: wanted "cancel" or "abandon"') from None


def _tags(what: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) > MOST_TAGS:
        raise InvalidSetting(f'{what} is {str(value)[:60]!r}: wanted a list of at most {MOST_TAGS} texts, as ["eu"]')
    for one in value:
        if not isinstance(one, str) or not 1 <= len(one) <= LONGEST_TAG or not one.isprintable() or one != one.strip():
            raise InvalidSetting(
                f"{what} has {str(one)[:60]!r} in it: wanted 1 to {LONGEST_TAG} printable characters, without spaces "
                "around them"
            )
    return tuple(dict.fromkeys(value))


def _metadata(what: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        raise InvalidSetting(f"{what} is {str(value)[:60]!r}: wanted a JSON object")
    try:
        text = json_text(to_json(dict(value)))
    except NotRecordable as error:
        raise InvalidSetting(f"{what}: {error}") from error
    if len(text.encode(errors="surrogatepass")) > MOST_METADATA:
        raise InvalidSetting(f"{what} has {len(text):,} characters: wanted at most {MOST_METADATA:,} bytes of JSON")
    return text


CHECKS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "idempotency_key": _idempotency_key,
    "delay": lambda _, value: duration(value),
    "at": _instant,
    "priority": _priority,
    "ttl": _some_time,
    "deadline": _deadline,
    "queue_key": key_text,
    "cost": amount,
    "singleton": _conflict,
    "singleton_key": key_text,
    "debounce": _of(Debounce),
    "batch": _of(Batch),
    "on_parent_close": _parent_close,
    "tags": _tags,
    "metadata": _metadata,
}
