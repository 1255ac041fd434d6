"""What a queue allows: how many of its runs may run, start and line up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `amount` within any span of `per`."""

    amount: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class Budget:
    """A rate that several queues may share by its name; each start takes its run's cost of it."""

    name: str
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one queue; None where there is none.

    At most `concurrency` runs at a time, `per_key` of one queue key, `per_worker` in one worker; at most `rate` starts;
    costs within `budget`; no more than `backlog` runs lined up. With `fair` the keys take turns.
    """

    concurrency: int | None = None
    per_key: int | None = None
    per_worker: int | None = None
    rate: Rate | None = None
    budget: Budget | None = None
    backlog: int | None = None
    fair: bool = False
