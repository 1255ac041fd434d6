"""When to try again: pure arithmetic, without a clock and without randomness of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Any

from agentflow.durations import LONGEST as LONGEST_SPAN
from agentflow.durations import duration
from agentflow.errors import AgentflowError, DefinitionError, Fatal, InvalidDuration
from agentflow.later import later

if TYPE_CHECKING:
    from email import utils as mail_dates
else:
    mail_dates = later("email.utils")

Errors = tuple[type[Exception], ...]
LONGEST = timedelta(minutes=5)


class RetryAfter(AgentflowError):
    """Raise it in a step or task to be tried again, if attempts are left, after `delay` instead of the policy's delay.

    `delay` is a span ("90s", seconds, a timedelta) or an aware datetime. Raises `InvalidDuration` for any other.
    """

    def __init__(self, message: str, delay: str | float | timedelta | datetime) -> None:
        super().__init__(message)
        if isinstance(delay, datetime) and delay.tzinfo is None:
            raise InvalidDuration(f"RetryAfter(…, {delay!r}): wanted an aware datetime (with a time zone), or a span")
        self.retry_after = delay if isinstance(delay, datetime) else duration(delay)


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Retry:
    """How often, and how long apart, a failed step or task is tried again.

    `max_attempts` counts the first try. The nth delay is `min_delay * factor ** (n - 1)`, at most `max_delay`, and
    `jitter` (a share from 0 to 1) shortens it at random so that many runs do not come back at once. An error is tried
    again if it is one of `retry_on` and none of `give_up_on`; `Fatal` never is.
    """

    max_attempts: int = 3
    factor: float = 2.0
    min_delay: timedelta = timedelta(seconds=1)
    max_delay: timedelta = LONGEST
    jitter: float = 0.0
    retry_on: Errors = field(default=(Exception,))
    give_up_on: Errors = field(default=())

    def __init__(
        self,
        *,
        max_attempts: int = 3,
        factor: float = 2.0,
        min_delay: str | float | timedelta = "1s",
        max_delay: str | float | timedelta | None = None,
        jitter: float = 0.0,
        retry_on: type[Exception] | Errors = (Exception,),
        give_up_on: type[Exception] | Errors = (),
    ) -> None:
        """Spans are texts such as `"1s"` and `"5m"`, seconds, or `timedelta`; `max_delay` is 5 minutes unless given."""
        if isinstance(max_attempts, bool) or not isinstance(max_attempts, int) or max_attempts < 1:
            raise DefinitionError(f"Retry(max_attempts={max_attempts!r}): wanted a whole number of tries, 1 or more")
        if not 1.0 <= factor <= 1000.0:  # noqa: PLR2004  a longer growth than this is a mistyped number
            raise DefinitionError(f"Retry(factor={factor!r}): wanted a growth from 1 to 1000")
        if not 0.0 <= jitter <= 1.0:
            raise DefinitionError(f"Retry(jitter={jitter!r}): wanted a share from 0 to 1")
        least = duration(min_delay)
        most = max(least, LONGEST) if max_delay is None else duration(max_delay)
        if most < least:
            raise DefinitionError(
                f"Retry(min_delay={min_delay!r}, max_delay={max_delay!r}): the least exceeds the most"
            )
        for name, value in (
            ("max_attempts", max_attempts),
            ("factor", float(factor)),
            ("min_delay", least),
            ("max_delay", most),
            ("jitter", float(jitter)),
            ("retry_on", _errors("retry_on", retry_on)),
            ("give_up_on", _errors("give_up_on", give_up_on)),
        ):
            object.__setattr__(self, name, value)

    def delay_after(self, attempt: int, error: Exception | None = None, *, chance: float = 1.0) -> timedelta | None:
        """How long to wait after the nth failed attempt, or None to give up; `chance` is drawn from 0 to 1."""
        if attempt >= self.max_attempts or (error is not None and not self.covers(error)):
            return None
        growth = self.factor ** min(attempt - 1, 62)  # past this, max_delay always wins; without it floats overflow
        seconds = min(self.min_delay.total_seconds() * growth, self.max_delay.total_seconds())
        return timedelta(seconds=seconds * (1.0 - self.jitter * (1.0 - chance)))

    def next_after(self, attempt: int, error: Exception, *, now: datetime, chance: float = 1.0) -> timedelta | None:
        """As `delay_after`, but as long as the error itself asks for, where it does (see `asked_delay`)."""
        delay = self.delay_after(attempt, error, chance=chance)
        asked = None if delay is None else asked_delay(error, now)
        return delay if asked is None else asked

    def covers(self, error: Exception) -> bool:
        """Whether another try is allowed for this error at all."""
        if isinstance(error, (Fatal, *self.give_up_on)):
            return False
        return isinstance(error, self.retry_on)


def _errors(name: str, value: type[Exception] | Errors) -> Errors:
    classes = value if isinstance(value, tuple) else (value,)
    for one in classes:
        if not (isinstance(one, type) and issubclass(one, Exception)):
            raise DefinitionError(f"Retry({name}=…): {one!r} is no exception class")
    return classes


ONCE = Retry(max_attempts=1)


# -- errors that say when to come back


def asked_delay(error: Exception, now: datetime) -> timedelta | None:
    """How long an error asks to wait before the next try: None where it does not, or asks for what is no such span.

    It may carry `retry_after` (seconds, a timedelta, an aware datetime) or, as HTTP clients' errors do, a `response`
    whose `Retry-After` header is a number of seconds or a date.
    """
    try:
        own = getattr(error, "retry_after", None)
        found = _span(own if own is not None else _header(error), now)
    except Exception:  # noqa: BLE001  attributes of other people's errors may do anything; the policy's delay holds then
        return None
    return found if found is not None and timedelta(0) <= found <= LONGEST_SPAN else None


def _span(asked: Any, now: datetime) -> timedelta | None:
    if isinstance(asked, timedelta):
        return asked
    if isinstance(asked, datetime):
        return max(asked - now, timedelta(0)) if asked.tzinfo is not None else None
    if isinstance(asked, str):
        return _of_text(asked.strip(), now)
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not isfinite(asked):
        return None
    return timedelta(seconds=asked)


def _of_text(asked: str, now: datetime) -> timedelta | None:
    if asked.isascii() and asked.isdigit():
        return timedelta(seconds=int(asked))
    date = mail_dates.parsedate_to_datetime(asked)
    return max((date if date.tzinfo is not None else date.replace(tzinfo=UTC)) - now, timedelta(0))


def _header(error: Exception) -> Any:
    headers = getattr(getattr(error, "response", None), "headers", None)
    return None if headers is None else headers.get("retry-after") or headers.get("Retry-After")
