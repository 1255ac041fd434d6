"""The review as tasks: one run for each distribution under a parent run, with a person where one is needed."""

from __future__ import annotations

import logging
from datetime import datetime  # noqa: TC003  agentflow reads the annotations of tasks and steps

from agentflow import (
    AllFailed,
    Evidence,
    RunCancelled,
    RunFailed,
    fallback,
    now,
    step,
    task,
    wait_for_approval,
)
from agentflow.demo import finding, spdx
from agentflow.demo.distributions import metadata_of
from agentflow.demo.findings import Answer, Distribution, Metadata, NoAnswer, Policy, Report, Review, Reviewed
from agentflow.demo.outcomes import decided, not_reviewed, passed
from agentflow.demo.questions import asked_again, first_question, why_a_person
from agentflow.demo.report import write_report

log = logging.getLogger(__name__)


@task
async def licence_review(review: Review) -> Report:
    """The report on all distributions, once each is settled. A child run that fails is a line of it, no failure."""
    runs = await review_distribution.batch_trigger([(one, review.policy) for one in review.distributions])
    lines = []
    for distribution, run in zip(review.distributions, runs, strict=True):
        try:
            lines.append(await run)
        except (RunFailed, RunCancelled) as error:
            log.warning("%s was not reviewed: %s", distribution.name, error)
            lines.append(not_reviewed(distribution, error))
    return await keep_report(review, lines, await now())


@task
async def review_distribution(distribution: Distribution, policy: Policy) -> Reviewed:
    """One distribution's licence, confirmed by a person where the policy asks for one."""
    metadata = await read_metadata(distribution)
    try:
        answer = finding.with_earlier(metadata, await find_licence(metadata))
    except AllFailed as error:
        answer = finding.best_guess(metadata, error.failures[-1].partition("NoAnswer: ")[2])
    reason = why_a_person(answer, policy)
    if not reason:
        return passed(distribution, answer)
    question = first_question(distribution, answer, policy, reason)
    while True:
        decision = await wait_for_approval(
            question.proposed,
            key="licence",
            title=question.title,
            summary=question.summary,
            body=question.body,
            reason=question.reason,
            risk=question.risk,
            allow=question.verdicts,
            confidence=answer.confidence,
            field_confidence={"/expression": answer.confidence},
            evidence=_evidence(answer),
        )
        problem = spdx.problem(decision.data.expression) if decision.approved else ""
        if not problem:
            return decided(distribution, answer, reason, decision)
        question = asked_again(question, decision.data, problem)


@step
def read_metadata(distribution: Distribution) -> Metadata:
    """What the distribution says about its licence."""
    return metadata_of(distribution)


@step
def from_expression(metadata: Metadata) -> Answer:
    """The SPDX expression in the metadata."""
    return finding.by_expression(metadata)


@step
def from_classifiers(metadata: Metadata) -> Answer:
    """The one licence the classifiers name."""
    return finding.by_classifiers(metadata)


@step
def from_licence_files(metadata: Metadata) -> Answer:
    """The licence whose text came with the distribution."""
    return finding.by_licence_files(metadata)


@step
def keep_report(review: Review, lines: list[Reviewed], finished_at: datetime) -> Report:
    """The report, written; done again after a crash it replaces what was there."""
    return write_report(review, lines, finished_at)


find_licence = fallback(from_expression, from_classifiers, from_licence_files, on=NoAnswer, name="find_licence")


def _evidence(answer: Answer) -> dict[str, Evidence]:
    """The words the proposed expression rests on; every further quote is in the question's body."""
    if not answer.quotes:
        return {}
    return {"/expression": Evidence(document=answer.quotes[0].document, quote=answer.quotes[0].text)}
