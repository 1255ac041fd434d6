"""What a queue allows: how many of its runs may run, start and line up."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from agentflow.durations import describe, duration
from agentflow.errors import InvalidDuration, InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST: Final = 10**15
UNITS: Final = {
    "s": "s", "sec": "s", "second": "s", "min": "m", "m": "m", "minute": "m",
    "h": "h", "hour": "h", "d": "d", "day": "d",
}  # fmt: skip
RATE: Final = re.compile(r"(?P<amount>[0-9][0-9_,]{0,20}) ?/ ?(?P<per>.{1,100})", re.ASCII)
RATE_FORMS: Final = 'write "100/min", "5/s", "1000/h" or "10/30s"'
NAME: Final = re.compile(r"[\w.:@-]{1,100}")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `amount` within any span of `per`."""

    amount: int
    per: timedelta

    def __post_init__(self) -> None:
        require_count("the amount of a rate", self.amount)
        if not isinstance(self.per, timedelta) or self.per < timedelta(milliseconds=1):
            raise InvalidSetting(f"a rate per {self.per!r}: wanted a span of 1ms or more")

    @classmethod
    def of(cls, rate: Rate | str) -> Rate:
        """The rate a text such as "100/min" or "10/30s" stands for. Raises `InvalidSetting`."""
        if isinstance(rate, Rate):
            return rate
        found = RATE.fullmatch(rate.strip()) if isinstance(rate, str) else None
        if found is None:
            raise InvalidSetting(f"found {rate!r} for a rate; {RATE_FORMS}")
        per = found["per"].strip()
        try:
            span = duration(f"1{UNITS[per]}" if per in UNITS else per)
        except InvalidDuration:
            raise InvalidSetting(f"found {rate!r} for a rate, whose span {per!r} is none; {RATE_FORMS}") from None
        return cls(int(found["amount"].replace("_", "").replace(",", "")), span)

    @property
    def text(self) -> str:
        """The text that `of` reads as this rate."""
        said = describe(self.per)
        return f"{self.amount}/{said if duration(said) == self.per else f'{self.per.total_seconds()}s'}"

    def __str__(self) -> str:
        return f"{self.amount:,} per {describe(self.per)}"


@dataclass(frozen=True, slots=True, init=False)
class Budget:
    """A rate that several queues may share by its name; each start takes its run's cost of it.

    `Budget("openai-tokens", "90000/min")`. Raises `InvalidSetting`.
    """

    name: str
    rate: Rate

    def __init__(self, name: str, rate: Rate | str) -> None:
        object.__setattr__(self, "name", require_name("budget", name))
        object.__setattr__(self, "rate", Rate.of(rate))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one queue; None where there is none.

    At most `concurrency` runs at a time, `per_key` of one queue key, `per_worker` in one worker; at most `rate` starts;
    costs within `budget`; no more than `backlog` runs lined up. With `fair` the keys take turns. Raises
    `InvalidSetting` for one that nothing could ever meet.
    """

    concurrency: int | None = None
    per_key: int | None = None
    per_worker: int | None = None
    rate: Rate | None = None
    budget: Budget | None = None
    backlog: int | None = None
    fair: bool = False

    def __post_init__(self) -> None:
        for name in ("concurrency", "per_key", "per_worker", "backlog"):
            if (value := getattr(self, name)) is not None:
                require_count(name, value, instead_of_none="leave it out for no limit, or pause the queue")
        if not isinstance(self.fair, bool):
            raise InvalidSetting(f"fair={self.fair!r}: wanted True or False")
        for name, kind in (("rate", Rate), ("budget", Budget)):
            if (value := getattr(self, name)) is not None and not isinstance(value, kind):
                raise InvalidSetting(f"{name}={value!r}: wanted a {kind.__name__}")

    @property
    def govern_claims(self) -> bool:
        """Whether they say which runs may start, and in which order."""
        return self.count_running or self.rate is not None or self.budget is not None

    @property
    def count_running(self) -> bool:
        """Whether what may start depends on what is running."""
        return self.fair or any(limit is not None for limit in (self.concurrency, self.per_key, self.per_worker))

    def to_json(self) -> str:
        """The text to store: the limits that are set, by name."""
        return json.dumps(limits_document(self))

    @classmethod
    def from_json(cls, text: str) -> Limits:
        """The limits stored as `text`."""
        return limits_from(json.loads(text))


UNLIMITED: Final = Limits()


def limits_document(limits: Limits) -> dict[str, Any]:
    """The limits that are set, by name, as plain JSON: a rate is `{"amount": 100, "per": 60.0}`, in seconds."""
    found: dict[str, Any] = {
        name: value
        for name in ("concurrency", "per_key", "per_worker", "backlog")
        if (value := getattr(limits, name)) is not None
    }
    if limits.rate is not None:
        found["rate"] = _rate_document(limits.rate)
    if limits.budget is not None:
        found["budget"] = {"name": limits.budget.name, **_rate_document(limits.budget.rate)}
    return found | ({"fair": True} if limits.fair else {})


def limits_from(document: Mapping[str, Any]) -> Limits:
    """The limits a document of `limits_document` holds. Raises `InvalidSetting`."""
    values = dict(document)
    if (rate := values.get("rate")) is not None:
        values["rate"] = _rate(rate)
    if (budget := values.get("budget")) is not None:
        values["budget"] = Budget(budget["name"], _rate(budget))
    return Limits(**values)


def _rate_document(rate: Rate) -> dict[str, Any]:
    return {"amount": rate.amount, "per": rate.per / timedelta(seconds=1)}


def _rate(document: Mapping[str, Any]) -> Rate:
    return Rate(document["amount"], duration(document["per"]))


def described(limits: Limits) -> list[str]:
    """Each limit that is set, in words."""
    said = {
        "concurrency": "{:,} at a time",
        "per_key": "{:,} of a key",
        "per_worker": "{:,} in a worker",
        "backlog": "{:,} lined up",
    }
    found = [text.format(value) for name, text in said.items() if (value := getattr(limits, name)) is not None]
    if limits.rate is not None:
        found.insert(min(len(found), 3), f"{limits.rate}")
    if limits.budget is not None:
        found.append(f"{limits.budget.rate} of budget {limits.budget.name!r}")
    return [*found, "keys take turns"] if limits.fair else found


def require_count(what: str, value: object, *, instead_of_none: str = "") -> int:
    """The value, a whole number of 1 or more. Raises `InvalidSetting`, for a 0 with what is to be done instead."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        remedy = f"; {instead_of_none}" if instead_of_none and value == 0 and value is not False else ""
        raise InvalidSetting(f"{what} is {value!r}: wanted a whole number, 1 or more{remedy}")
    return value


def require_name(what: str, name: object) -> str:
    """The name of a queue or budget. Raises `InvalidSetting`."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidSetting(f"{name!r} is no name of a {what}: wanted 1 to 100 letters, digits and _ . : @ -")
    return name


def change_in_words(text: str) -> str:
    """What a change of a queue, as it is stored, was."""
    change = json.loads(text)
    said = [] if "paused" not in change else ["paused" if change["paused"] else "resumed"]
    if "limits" in change:
        limits = ", ".join(described(limits_from(change["limits"]))) or "no limits"
        before = ", ".join(described(limits_from(change.get("before", {})))) or "no limits"
        verb = "reset to what is declared" if change.get("reset") else "limits changed"
        said.append(f"{verb}: {limits} (before: {before})")
    return ", ".join(said)
