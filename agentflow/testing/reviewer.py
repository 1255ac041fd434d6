"""A scripted reviewer: decides approvals by rules, and objects to any that no rule covers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from agentflow.client import UNCHANGED
from agentflow.errors import DefinitionError
from agentflow.states import Verdict

if TYPE_CHECKING:
    from agentflow.client import Client
    from agentflow.records import Approval, Decision

Change = Mapping[str, Any] | Callable[[Any], Any]


@dataclass(slots=True, eq=False)
class Rule:
    """What to say to the approvals that fit: a verdict, or None to leave them without an answer."""

    verdict: Verdict | None
    fits: Mapping[str, str]
    comment: str = ""
    times: int | None = None
    final: Callable[[Any], Any] | None = None
    decided: list[str] = field(default_factory=list)

    def covers(self, approval: Approval) -> bool:
        """Whether the approval fits and the rule may still be used. Of a key both `gate` and `a#1/gate#2` fit."""
        known = {"title": (approval.title,), "task": (approval.task,), "key": _names(approval.key)}
        return (self.times is None or len(self.decided) < self.times) and all(
            any(fnmatchcase(value, pattern) for value in known[name]) for name, pattern in self.fits.items()
        )

    def __str__(self) -> str:
        fits = ", ".join(f"{name}={pattern!r}" for name, pattern in self.fits.items())
        times = "" if self.times is None else f", {len(self.decided)} of {self.times} times used"
        return f"{self.verdict or 'leave'}({fits}){times}"


class Reviewer:
    """Decides approvals as a test says: `Reviewer().approve(title="Refund*").reject(key="gate")`.

    The first rule that fits decides; `title`, `key` and `task` may hold `*`, and a rule without any of them fits every
    approval. A rule is for any number of approvals unless it says `times=`. Given to a `Harness` it decides whatever
    appears. It is strict: an approval no rule covers is an `AssertionError`, and so is, at the end, an unused rule.
    """

    def __init__(self, *, by: str = "reviewer") -> None:
        self.by = by
        self.rules: list[Rule] = []
        self._chosen: dict[str, Rule] = {}

    # -- rules

    def approve(
        self,
        *,
        title: str | None = None,
        key: str | None = None,
        task: str | None = None,
        comment: str = "",
        times: int | None = None,
    ) -> Reviewer:
        """Approve what fits as proposed."""
        return self._add(Rule(Verdict.APPROVE, _fits(title=title, key=key, task=task), comment, times))

    def correct(
        self,
        change: Change | None = None,
        /,
        *,
        data: Any = UNCHANGED,
        title: str | None = None,
        key: str | None = None,
        task: str | None = None,
        comment: str = "",
        times: int | None = None,
    ) -> Reviewer:
        """Correct what fits: to `data`, or by a `change` (fields to set, or a function of the proposed JSON)."""
        if (change is None) == (data is UNCHANGED):
            raise DefinitionError("Reviewer.correct needs a change or data=, and not both")
        final = _changing(change) if change is not None else lambda _: data
        return self._add(Rule(Verdict.CORRECT, _fits(title=title, key=key, task=task), comment, times, final))

    def reject(
        self,
        *,
        title: str | None = None,
        key: str | None = None,
        task: str | None = None,
        comment: str = "",
        times: int | None = None,
    ) -> Reviewer:
        """Reject what fits."""
        return self._add(Rule(Verdict.REJECT, _fits(title=title, key=key, task=task), comment, times))

    def leave(
        self, *, title: str | None = None, key: str | None = None, task: str | None = None, times: int | None = None
    ) -> Reviewer:
        """Give what fits no answer: it times out, or stays open."""
        return self._add(Rule(None, _fits(title=title, key=key, task=task), times=times))

    def _add(self, rule: Rule) -> Reviewer:
        if rule.times is not None and rule.times < 1:
            raise DefinitionError(f"Reviewer: times={rule.times}: wanted 1 or more, or None for any number")
        self.rules.append(rule)
        return self

    # -- deciding

    def rule_for(self, approval: Approval) -> Rule:
        """The rule that decides this approval, the same one whenever it is asked. Raises `AssertionError`."""
        known = self._chosen.get(approval.id)
        if known is not None:
            return known
        rule = next((one for one in self.rules if one.covers(approval)), None)
        if rule is None:
            rules = "".join(f"\n  {one}" for one in self.rules) or " none"
            raise AssertionError(
                f"no rule covers approval {approval.title!r} (key {approval.key}, task {approval.task}); rules:{rules}"
            )
        rule.decided.append(approval.id)
        self._chosen[approval.id] = rule
        return rule

    async def decide(self, client: Client, approval: Approval) -> Decision | None:
        """Decide one approval by its rule; None if that leaves it. The same approval again is the same decision.

        Raises as `Client.decide` does.
        """
        rule = self.rule_for(approval)
        if rule.verdict is None:
            return None
        final = UNCHANGED if rule.final is None else rule.final(json.loads(approval.data))
        return await client.decide(
            approval.id,
            rule.verdict,
            by=self.by,
            channel="test",
            comment=rule.comment,
            data=final,
            decision_id=f"{approval.id}.{self.by}",
        )

    async def answer(self, client: Client) -> int:
        """Decide everything that is pending, in the order of the inbox; how many approvals that were."""
        pending = (await client.approvals(limit=200)).items
        return sum([await self.decide(client, approval) is not None for approval in pending])

    def begin(self) -> None:
        """Start over, as if no approval had been seen."""
        self._chosen.clear()
        for rule in self.rules:
            rule.decided.clear()

    def check(self) -> None:
        """Raise `AssertionError` if a rule has not been used, or not as often as it says."""
        unused = [rule for rule in self.rules if len(rule.decided) < (rule.times or 1)]
        if unused:
            raise AssertionError("the reviewer was not asked what it expected: " + "; ".join(map(str, unused)))


def _fits(**patterns: str | None) -> dict[str, str]:
    return {name: pattern for name, pattern in patterns.items() if pattern is not None}


def _names(key: str) -> tuple[str, str]:
    return key, key.rpartition("/")[2].partition("#")[0]


def _changing(change: Change) -> Callable[[Any], Any]:
    return change if callable(change) else lambda proposed: proposed | dict(change)
