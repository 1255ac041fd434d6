"""When a finding needs a person, and how the question is put to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from agentflow.demo import spdx
from agentflow.demo.findings import Answer, Distribution, LicenceFinding, Policy

UNKNOWN, NOT_ALLOWED, UNSURE, NOT_SPDX = "unknown_licence", "licence_not_allowed", "low_confidence", "not_spdx"
RISKS: Final = {UNKNOWN: "high", NOT_ALLOWED: "medium", UNSURE: "low"}
ANY_VERDICT: Final = ("approve", "correct", "reject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person is asked, in the words they see. `verdicts` leaves out what makes no sense to say."""

    proposed: LicenceFinding
    title: str
    summary: str
    body: str
    reason: str
    risk: str
    verdicts: tuple[str, ...]


def why_a_person(answer: Answer, policy: Policy) -> str:
    """The code of the reason to ask, or an empty text where the policy lets the finding pass."""
    if not answer.expression:
        return UNKNOWN
    if not spdx.is_allowed(answer.expression, policy.allow):
        return NOT_ALLOWED
    return UNSURE if answer.confidence < policy.threshold else ""


def first_question(distribution: Distribution, answer: Answer, policy: Policy, reason: str) -> Question:
    """The question about this answer."""
    return Question(
        proposed=LicenceFinding(
            distribution=distribution.name, version=distribution.version, expression=answer.expression
        ),
        title=f"Licence of {distribution.name} {distribution.version}",
        summary=_summary(answer, policy, reason),
        body=_body(distribution, answer, policy),
        reason=reason,
        risk=RISKS[reason],
        verdicts=ANY_VERDICT if answer.expression else ("correct", "reject"),
    )


def asked_again(question: Question, corrected: LicenceFinding, problem: str) -> Question:
    """The question once more, for a correction that its schema let through and that is no licence all the same."""
    summary = f"“{corrected.expression}” cannot be kept: {problem}. Correct it, or reject the distribution"
    return replace(question, proposed=corrected, summary=summary, reason=NOT_SPDX, verdicts=("correct", "reject"))


def _summary(answer: Answer, policy: Policy, reason: str) -> str:
    if reason == UNKNOWN:
        return "No licence was found; say which it is, or reject the distribution"
    source = f"found by {answer.found_by}, confidence {answer.confidence:.2f}"
    if reason == NOT_ALLOWED:
        return f"{answer.expression} is outside the allowed list ({source})"
    return f"{answer.expression}, {source}; {policy.threshold:.2f} passes without a person"


def _body(distribution: Distribution, answer: Answer, policy: Policy) -> str:
    """What was tried and what it rests on, as Markdown."""
    lines = [f"**{_plain(distribution.name)} {_plain(distribution.version)}**", ""]
    lines += [f"- {_plain(text)}" for text in answer.earlier]
    if answer.expression:
        lines.append(f"- {answer.found_by}: `{answer.expression}`, confidence {answer.confidence:.2f}")
    for quote in answer.quotes:
        quoted = [f"    {line}" for line in quote.text.splitlines()]
        lines += ["", f"From `{quote.document.replace('`', '')}`:", "", *quoted]
    return "\n".join([*lines, "", f"Allowed without asking: {', '.join(policy.allow)}."])


def _plain(text: str) -> str:
    """Text of somebody else's metadata, with nothing left that Markdown would act on."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#!|" else sign for sign in " ".join(text.split()))
