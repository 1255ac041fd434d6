"""Circuit breakers: after failures in a row a step or hop is not called for a while, whichever worker would call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentflow.durations import duration
from agentflow.errors import DefinitionError, Fatal
from agentflow.requests import BreakerRule

if TYPE_CHECKING:
    from datetime import timedelta

Errors = tuple[type[Exception], ...]
_LONGEST_KEY = 200


@dataclass(frozen=True, slots=True, init=False)
class Breaker:
    """Opens after `failures` in a row within `within`; while it is open, calls fail at once with `CircuitOpen`.

    It stays open for `open_for`; then one call is let through to try, and closes it or opens it anew. All workers share
    the breaker of a `key`. Failures are errors that are one of `on`; `Fatal` never is.
    """

    key: str
    rule: BreakerRule
    on: Errors

    def __init__(
        self,
        key: str,
        *,
        failures: int = 5,
        within: str | float | timedelta = "1m",
        open_for: str | float | timedelta = "30s",
        on: type[Exception] | Errors = (Exception,),
    ) -> None:
        """Spans are texts such as `"30s"`, seconds, or `timedelta`. Raises `DefinitionError` or `InvalidDuration`."""
        if not isinstance(key, str) or not key.strip() or len(key) > _LONGEST_KEY:
            raise DefinitionError(f"Breaker({key!r}): wanted a name of 1 to {_LONGEST_KEY} characters")
        if isinstance(failures, bool) or not isinstance(failures, int) or failures < 1:
            raise DefinitionError(f"Breaker(failures={failures!r}): wanted a whole number of failures, 1 or more")
        spans = {"within": duration(within), "open_for": duration(open_for)}
        for name, span in spans.items():
            if not span:
                raise DefinitionError(f"Breaker({name}=…): wanted a span longer than nothing")
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "rule", BreakerRule(key=key, failures=failures, **spans))
        object.__setattr__(self, "on", _errors(on))

    def counts(self, error: Exception) -> bool:
        """Whether this error is a failure of what the breaker guards."""
        return isinstance(error, self.on) and not isinstance(error, Fatal)


def _errors(on: type[Exception] | Errors) -> Errors:
    classes = on if isinstance(on, tuple) else (on,)
    for one in classes:
        if not (isinstance(one, type) and issubclass(one, Exception)):
            raise DefinitionError(f"Breaker(on=…): {one!r} is no exception class")
    return classes
