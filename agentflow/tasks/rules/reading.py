"""Whole rules: what is joined by "or", "and" and "except"."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, Final

from agentflow.errors import DefinitionError
from agentflow.tasks.rules.cron import Cron, both, read_cron
from agentflow.tasks.rules.dates import Dates, WholeDays, looks_like_date, read_dates, read_exceptions
from agentflow.tasks.rules.intervals import CalendarInterval, Every, read_interval
from agentflow.tasks.rules.possible import can_fire, comes_between

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    Single = Cron | Every | CalendarInterval | Dates
    Exceptions = Cron | Dates | WholeDays

LONGEST_RULE: Final = 30_000
INSTEAD: Final = {
    **dict.fromkeys(("unless", "without", "but", "not", "excluding", "excl", "minus"), "except"),
    **dict.fromkeys(("|", "||", ";", "+", "plus"), "or"),
    **dict.fromkeys(("&", "&&"), "and"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """Comes round whenever one of `either` does, but for the times on the wall that one of `unless` has."""

    either: tuple[Single, ...]
    unless: tuple[Exceptions, ...] = ()

    @property
    def is_elapsed(self) -> bool:
        """Whether it counts elapsed time alone, which no time zone changes."""
        return not self.unless and all(isinstance(one, Every) for one in self.either)

    def comes_between(self, first: datetime, last: datetime) -> bool:
        """Whether it has a time on the wall from `first` to `last`; so it is said where that is long to find out."""
        return comes_between(self.either, self.unless, first, last)

    def left_out_until(self, wall: datetime) -> datetime | None:
        """None unless this time on the wall is left out; else a time up to which all that follows is."""
        return next((one.until(wall) for one in self.unless if one.has(wall)), None)


@lru_cache(maxsize=1024)
def parse_rule(text: str, timezone: str = "UTC") -> Rule:
    """What the rule says. Raises `DefinitionError` naming the part, what was found in it and what would be valid.

    A rule that can never fire is refused too. `timezone` is that of the wall, whose exceptions an interval meets.
    """
    if not isinstance(text, str) or not text.strip():
        raise DefinitionError(f'a schedule\'s rule is {text!r}; write a cron text ("0 9 * * mon-fri") or "every 30s"')
    if len(text) > LONGEST_RULE:
        raise DefinitionError(f"rule {text[:60]!r}… has {len(text)} characters; at most {LONGEST_RULE} are read")
    words = text.lower().split()
    for word in words:
        if word in INSTEAD:
            raise DefinitionError(f'rule {text!r}: found {word!r}; wanted "{INSTEAD[word]}"')
    kept, *left_out = _split(text, words, "except")
    if len(left_out) > 1:
        raise DefinitionError(f'rule {text!r} has "except" twice; write what is left out once, joined by "or"')
    unless = [one for part in left_out for one in _exceptions(text, part)]
    rule = Rule(tuple(_single(text, part) for part in _split(text, kept, "or")), tuple(unless))
    if not can_fire(rule.either, rule.unless, timezone):
        raise DefinitionError(f"rule {text!r} can never fire: {_why_never(rule)}")
    return rule


def _split(text: str, words: Sequence[str], at: str) -> list[Sequence[str]]:
    """The words between those that are `at`. Raises `DefinitionError` where there are none."""
    ends = [place for place, word in enumerate(words) if word == at]
    parts = [words[begin:end] for begin, end in zip([0, *(n + 1 for n in ends)], [*ends, len(words)], strict=True)]
    for number, part in enumerate(parts):
        if not part:
            side = "before" if number == 0 else "after"
            raise DefinitionError(f'rule {text!r}: nothing stands {side} "{at}"; write a rule there, or leave it out')
    return parts


def _single(text: str, words: Sequence[str]) -> Single:
    parts = _split(text, words, "and")
    if len(parts) == 1:
        return _simple(text, words)
    for part in parts:
        if part[0] in ("every", "at") or looks_like_date(part[0]):
            raise DefinitionError(
                f'rule {text!r}: "and" joins cron texts, as in "0 9 1-7 * * and 0 9 * * mon"; '
                f'found {" ".join(part)!r}. To have the times of both, write "or"'
            )
    return reduce(lambda one, other: both(text, one, other), [read_cron(text, part) for part in parts])


def _simple(text: str, words: Sequence[str]) -> Single:
    if words[0] == "every":
        return read_interval(text, words[1:])
    if words[0] == "at":
        return read_dates(text, words[1:])
    if looks_like_date(words[0]):
        raise DefinitionError(f'rule {text!r}: dates begin with "at": write "at {" ".join(words)}"')
    if len(words) not in (5, 6) and (near := difflib.get_close_matches(words[0], ["every", "at"], n=1)):
        raise DefinitionError(f'rule {text!r}: found {words[0]!r}; wanted "{near[0]}", or a cron text')
    return read_cron(text, words)


def _exceptions(text: str, words: Sequence[str]) -> Sequence[Exceptions]:
    found: list[Exceptions] = []
    for part in _split(text, words, "or"):
        plain = part[1:] if part[0] in ("at", "on") and len(part) > 1 else part
        if looks_like_date(plain[0]):
            found += read_exceptions(text, plain)
        elif part[0] == "every":
            raise DefinitionError(
                f"rule {text!r}: an interval cannot be left out; after "
                '"except" write dates or a cron text, such as "* * 24-26 12 *"'
            )
        else:
            found.append(read_cron(text, part, whole_minutes=True))
    return found


def _why_never(rule: Rule) -> str:
    if rule.unless:
        return 'what stands after "except" leaves out each of its times; leave out less'
    return 'no day fits both sides of "and"; write "or" to have the days of both'
