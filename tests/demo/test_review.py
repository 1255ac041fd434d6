"""The review's tasks, run durably on distributions made up for the test, with the test as the reviewer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from agentflow import AgentFlow, Client, demo
from agentflow.demo.findings import Distribution, Policy, Review
from agentflow.demo.progress import AUTOMATIC, Deputy, begin, progress_of
from agentflow.errors import InvalidDecision
from agentflow.records import Approval
from agentflow.states import EntryKind, RunStatus
from tests.demo.conftest import Install

MPL = "License-Expression: MPL-2.0\n"
MIT = "License-Expression: MIT\n"
BSD = "Classifier: License :: OSI Approved :: BSD License\n"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with AgentFlow(demo, database=f"sqlite:///{tmp_path / 'review.db'}") as flow:
        yield flow.client


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "report"


def a_review(output: Path, *distributions: Distribution) -> Review:
    return Review(output=str(output), policy=Policy(), distributions=list(distributions))


async def pending(client: Client, count: int = 1) -> Sequence[Approval]:
    """The pending approvals, once there are so many."""
    async with asyncio.timeout(60), aclosing(client.changes()) as changes:
        async for _ in changes:
            items = (await client.approvals()).items
            if len(items) >= count:
                return items
    raise AssertionError("unreachable")


async def reported(client: Client, run_id: str, output: Path) -> dict[str, Any]:
    """The line of the report on the only distribution, once the review has ended."""
    run = await client.result(run_id, timeout="60s")
    assert run.status is RunStatus.COMPLETED, run.error
    (line,) = json.loads((output / "report.json").read_text())["distributions"]
    return line


def proposed(approval: Approval, **changes: str) -> dict[str, str]:
    return {**json.loads(approval.data), **changes}


async def test_a_sure_and_allowed_licence_needs_no_person(client: Client, output: Path, install: Install) -> None:
    begun = await begin(client, a_review(output, install("acme", headers=MIT)))
    line = await reported(client, begun.run.id, output)
    assert (line["expression"], line["outcome"], line["found_by"]) == ("MIT", "allowed", "License-Expression")
    assert not (await client.approvals(pending=None)).items


async def test_a_licence_outside_the_list_waits_for_a_person_with_evidence(
    client: Client, output: Path, install: Install
) -> None:
    begun = await begin(client, a_review(output, install("acme", headers=MPL)))
    (approval,) = await pending(client)
    assert approval.reason == "licence_not_allowed"
    assert json.loads(approval.evidence)["/expression"]["quote"] == "License-Expression: MPL-2.0"
    receipt = await client.decide(approval.id, "approve", by="ana", comment="as a whole")
    line = await reported(client, begun.run.id, output)
    assert (line["outcome"], line["decided_by"], line["comment"]) == ("approved", "ana", "as a whole")
    assert line["receipt"] == receipt.id


async def test_a_correction_must_be_on_the_spdx_list(client: Client, output: Path, install: Install) -> None:
    begun = await begin(client, a_review(output, install("acme", headers=MPL)))
    (approval,) = await pending(client)
    with pytest.raises(InvalidDecision) as refused:
        await client.decide(approval.id, "correct", by="ana", data=proposed(approval, expression="NotALicence"))
    assert refused.value.errors[0].field == "/expression"
    assert (await client.approval(approval.id)).is_pending
    await client.decide(approval.id, "correct", by="ana", data=proposed(approval, expression="MPL-2.0 OR MIT"))
    line = await reported(client, begun.run.id, output)
    assert (line["outcome"], line["expression"], line["found"]) == ("corrected", "MPL-2.0 OR MIT", "MPL-2.0")


async def test_a_correction_the_pattern_cannot_judge_is_asked_for_again(
    client: Client, output: Path, install: Install
) -> None:
    begun = await begin(client, a_review(output, install("acme", headers=MPL)))
    (first,) = await pending(client)
    await client.decide(first.id, "correct", by="ana", data=proposed(first, expression="(MIT"))
    (second,) = await pending(client)
    assert second.id != first.id
    assert "“(MIT” cannot be kept" in second.summary
    assert "approve" not in second.allow
    await client.decide(second.id, "correct", by="ana", data=proposed(second, expression="MIT"))
    assert (await reported(client, begun.run.id, output))["expression"] == "MIT"


async def test_which_distribution_it_is_cannot_be_corrected(client: Client, output: Path, install: Install) -> None:
    await begin(client, a_review(output, install("acme", headers=MPL)))
    (approval,) = await pending(client)
    with pytest.raises(InvalidDecision):
        await client.decide(approval.id, "correct", by="ana", data=proposed(approval, distribution="other"))
    assert (await client.approval(approval.id)).is_pending


async def test_a_rejection_is_a_line_of_the_report(client: Client, output: Path, install: Install) -> None:
    begun = await begin(client, a_review(output, install("acme", headers=MPL)))
    (approval,) = await pending(client)
    await client.decide(approval.id, "reject", by="ana", comment="not with us")
    line = await reported(client, begun.run.id, output)
    assert (line["outcome"], line["expression"], line["comment"]) == ("rejected", "MPL-2.0", "not with us")


async def test_failed_hops_are_in_the_report_and_were_tried_once(
    client: Client, output: Path, install: Install
) -> None:
    text = "Altered source versions must be plainly marked as such."
    begun = await begin(client, a_review(output, install("acme", headers=f"License: BSD\n{BSD}", LICENSE=text)))
    (approval,) = await pending(client)
    assert (approval.reason, approval.confidence) == ("low_confidence", 0.4)
    await client.decide(approval.id, "approve", by="ana")
    line = await reported(client, begun.run.id, output)
    assert line["found_by"] == "guess"
    assert line["earlier"] == [
        "metadata: “BSD” is no SPDX expression: not on the SPDX list: BSD",
        "classifiers: the classifier “BSD License” may mean BSD-3-Clause or BSD-2-Clause",
        "licence files: acme-1.0.dist-info/LICENSE matches no well-known licence",
    ]
    journal = await client.journal(approval.run_id)
    for hop in ("from_expression", "from_classifiers", "from_licence_files"):
        assert [entry.kind for entry in journal if entry.key == f"find_licence#1/{hop}#1"] == [EntryKind.FAILED]


async def test_a_failed_child_is_a_line_of_the_report(client: Client, output: Path) -> None:
    begun = await begin(client, a_review(output, Distribution(name="never-was-here", version="1")))
    line = await reported(client, begun.run.id, output)
    assert line["outcome"] == "failed"
    assert "no longer installed" in line["comment"]


async def test_the_same_review_is_found_again_until_it_is_asked_for_anew(
    client: Client, output: Path, install: Install
) -> None:
    review = a_review(output, install("acme", headers=MPL))
    begun = await begin(client, review)
    (approval,) = await pending(client)
    found = await begin(client, review)
    assert (found.run.id, found.is_new, found.is_done) == (begun.run.id, False, False)
    await client.decide(approval.id, "approve", by="ana")
    await client.result(begun.run.id, timeout="60s")
    done = await begin(client, review)
    assert (done.run.id, done.is_done) == (begun.run.id, True)
    anew = await begin(client, review, again=True)
    assert (anew.run.id != begun.run.id, anew.is_new) == (True, True)


async def test_a_lost_report_is_written_again(client: Client, output: Path, install: Install) -> None:
    review = a_review(output, install("acme", headers=MIT))
    await client.result((await begin(client, review)).run.id, timeout="60s")
    (output / "report.md").unlink()
    begun = await begin(client, review)
    await client.result(begun.run.id, timeout="60s")
    assert (output / "report.md").exists()


async def test_a_review_of_other_distributions_takes_the_place_of_an_open_one(
    client: Client, output: Path, install: Install
) -> None:
    acme = install("acme", headers=MPL)
    first = await begin(client, a_review(output, acme))
    await pending(client)
    second = await begin(client, a_review(output, acme, install("other", headers=MIT)))
    assert second.replaced == (first.run.id,)
    assert (await client.run(first.run.id)).status is RunStatus.CANCELLED
    elsewhere = await begin(client, a_review(output / "elsewhere", acme))
    assert elsewhere.replaced == ()


async def test_the_deputy_decides_its_own_review_only(client: Client, output: Path, install: Install) -> None:
    acme, unknown = install("acme", headers=MPL), install("unknown")
    ours = await begin(client, a_review(output, acme, unknown))
    theirs = await begin(client, a_review(output / "elsewhere", acme))
    await pending(client, 3)
    assert await Deputy(client, ours.run.id).decide_all() == 2
    await client.result(ours.run.id, timeout="60s")
    lines = json.loads((output / "report.json").read_text())["distributions"]
    assert [(line["outcome"], line["decided_by"]) for line in lines] == [
        ("approved", AUTOMATIC),
        ("rejected", AUTOMATIC),
    ]
    assert len((await client.approvals()).items) == 1
    progress = await progress_of(client, theirs.run.id, 1)
    assert progress.sentence == "0 of 1 reviewed, 1 waiting for a person"
