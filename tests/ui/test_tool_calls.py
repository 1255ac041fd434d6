"""A tool call on the pages, without scripts: the very arguments, what approving does, and calls approved ahead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.requests import OpenWait
from agentflow.states import Verdict, WaitKind
from tests.ui.calls import ARGUMENTS, SAID, SCHEMA, a_call, three_calls
from tests.ui.seeding import new_approval

if TYPE_CHECKING:
    from tests.support.server import Served
    from tests.ui.conftest import Browsing, MovedClock
    from tests.ui.seeding import Seeds

TERMS = {"kind:value:0": "any", "kind:value:1": "at_most", "value:1": "150", "kind:value:2": "any"}
GIVEN = TERMS | {"hold_for": "7d", "uses": "2", "reason": "small ones"}


async def always(mia: Browsing, approval_id: str, **given: str) -> Any:
    """The disclosure's form, sent as a browser would send it."""
    shown = await mia.open(f"/approvals/{approval_id}")
    token = dict(shown.fields)["csrf"]
    fields = {"value:0": "A-1", "value:2": "It arrived broken.", "csrf": token} | GIVEN | given
    return await mia.post(f"/approvals/{approval_id}/standing", list(fields.items()))


async def test_the_page_says_which_tool_is_called_with_what_and_what_approving_does(
    seeds: Seeds, mia: Browsing
) -> None:
    approval = await a_call(seeds)
    page = await mia.open(f"/approvals/{approval.id}")
    text = page.text
    assert "Call refund" in text
    assert "Tool refund will be called with exactly these arguments" in text
    assert "High risk" in text
    assert "Cannot be undone" in text
    assert "If you approve, refund is called once with exactly the arguments as they stand above (sha256" in text
    assert "Written by the agent not verified" in text
    assert text.index("It arrived broken.") < text.index(SAID)
    assert 'order= "A-1"' in text
    assert "amount= 120" in text


async def test_a_long_argument_hides_no_other(seeds: Seeds, mia: Browsing) -> None:
    approval = await a_call(seeds, {"reason": "x\n" * 5_000, "order": "A-1", "amount": 9_000})
    page = await mia.open(f"/approvals/{approval.id}")
    glance = page.html[page.html.index("call-line") : page.html.index("columns-head")]
    assert "9000" in glance
    assert "characters more" in glance
    assert len(glance) < 3_000


async def test_an_edit_is_held_against_the_tools_schema_and_reviewed(seeds: Seeds, mia: Browsing) -> None:
    approval = await a_call(seeds)
    page = await mia.open(f"/approvals/{approval.id}")
    refused = await page.submit(("verdict", "approve"), amount="-5")
    assert refused.status == 422
    page = await mia.open(f"/approvals/{approval.id}")
    review = await page.submit(("verdict", "approve"), amount="99")
    assert "refund is called once with exactly these arguments" in review.text
    decided = await review.submit(("verdict", "approve"))
    assert "Approved with 1 change" in decided.text
    final = await seeds.store.approval(approval.id)
    assert json.loads(final.final or "") == ARGUMENTS | {"amount": 99}


async def test_calls_of_one_turn_are_shown_together_and_decided_one_by_one(
    seeds: Seeds, site: Served, mia: Browsing
) -> None:
    first, second, third = await three_calls(seeds)
    page = await mia.open(f"/approvals/{second.id}")
    assert "3 of 3 calls of this turn wait for you" in page.text
    assert f'href="/approvals/{first.id}"' in page.html
    await site.client.decide(first.id, "approve", by="mia")
    page = await mia.open(f"/approvals/{third.id}")
    assert "2 of 3 calls of this turn wait for you" in page.text
    assert (await site.store.approval(second.id)).is_pending


async def test_a_row_of_the_inbox_names_the_tool_and_its_most_telling_arguments(seeds: Seeds, mia: Browsing) -> None:
    await a_call(seeds, ARGUMENTS | {"reason": "word " * 100}, title="Nice title the agent made")
    text = (await mia.open("/inbox?tab=pending")).text
    assert "Call refund" in text
    assert "order A-1 amount 120 reason" in text


# -- always approve calls like this


async def test_what_would_be_approved_is_said_in_words_before_it_is_made(
    seeds: Seeds, site: Served, mia: Browsing, clock: MovedClock
) -> None:
    for amount, verdict in ((10, "approve"), (140, "reject"), (500, "approve")):
        before = await a_call(seeds, ARGUMENTS | {"amount": amount})
        await site.client.decide(before.id, verdict, by="ana", comment="no")
    approval = await a_call(seeds)
    review = await always(mia, approval.id)
    text = review.text
    assert "Calls of refund in runs of refunds where order is anything, amount is a number from 0 to 150" in text
    assert "2 times at most" in text
    assert "Of the last 3 such calls that people decided, it would have approved 2 : 1 that people approved" in text
    assert "1 that they rejected" in text
    assert await site.client.standings() == []

    made = await review.submit()
    assert made.path == "/standing"
    (one,) = await site.client.standings()
    assert (one.made_by, one.reason, one.approval_id, one.most_uses) == ("mia", "small ones", approval.id, 2)
    assert (one.expires_at - one.created_at).days == 7
    assert (await site.store.approval(approval.id)).is_pending
    again = await review.submit()
    assert again.path == "/standing"
    assert len(await site.client.standings()) == 1


async def test_the_list_revokes_and_says_what_became_of_each(
    seeds: Seeds, site: Served, mia: Browsing, clock: MovedClock
) -> None:
    assert "Every call is asked about" in (await mia.open("/standing")).text
    approval = await a_call(seeds)
    await (await always(mia, approval.id)).submit()
    page = await mia.open("/standing")
    assert "Holds" in page.text
    revoked = await page.submit()
    assert "Revoked by mia" in revoked.text
    await (await always(mia, approval.id, hold_for="1h")).submit()
    clock.advance(hours=2)
    assert "Expired" in (await mia.open("/standing")).text


async def test_what_it_decided_links_to_it(seeds: Seeds, site: Served, mia: Browsing) -> None:
    approval = await a_call(seeds)
    await (await always(mia, approval.id)).submit()
    (made,) = await site.client.standings()
    claimed = await seeds.claimed("refunds")
    key = "refund.approval#2"
    new = new_approval(
        seeds.store, ARGUMENTS, title="", key=key, task="refunds", tool="refund", schema=SCHEMA, standing=made.id
    )
    await seeds.store.open_waits(
        claimed.lease, [OpenWait(key=key, kind=WaitKind.APPROVAL, subject=new.id, approval=new)]
    )
    page = await mia.open(f"/approvals/{new.id}")
    assert "by a standing approval" in page.text
    assert f'href="/standing#{made.id}"' in page.html


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hold_for": ""}, "choose until when"),
        ({"hold_for": "90d"}, "choose until when"),
        ({"reason": "  "}, "say why"),
        ({"uses": "many"}, "number of uses is 'many'"),
        ({"uses": "0"}, "wanted 1 or more"),
        ({"value:1": "-1"}, "wanted a number from 0"),
        ({"value:1": "lots"}, "wanted a number from 0"),
        ({"kind:value:0": "one_of", "value:0": " "}, "wanted 1 to 50 values"),
        ({"kind:value:1": "one_of", "value:1": "10\nten"}, "'ten' is no JSON value"),
        ({"reason": "long " * 200}, "a reason of 1 to 500"),
    ],
)
async def test_what_cannot_be_meant_is_said_and_nothing_is_made(
    seeds: Seeds, site: Served, mia: Browsing, given: dict[str, str], said: str
) -> None:
    approval = await a_call(seeds)
    shown = await always(mia, approval.id, **given)
    if shown.status == 200:
        shown = await shown.submit()
    assert shown.status == 422
    assert said in shown.text
    assert await site.client.standings() == []


@pytest.mark.parametrize("given", [{"risk": "critical"}, {"allow": (Verdict.CORRECT, Verdict.REJECT)}], ids=str)
async def test_it_is_not_offered_where_a_person_is_asked_each_time(
    seeds: Seeds, site: Served, mia: Browsing, given: dict[str, Any]
) -> None:
    approval = await a_call(seeds, **given)
    page = await mia.open(f"/approvals/{approval.id}")
    assert "no standing approval can be made from it" in page.text
    assert "See what that would approve" not in page.text
    shown = await always(mia, approval.id)
    if shown.status == 200:
        shown = await shown.submit()
    assert shown.status == 422
    assert await site.client.standings() == []


async def test_a_form_of_another_page_makes_and_revokes_nothing(seeds: Seeds, site: Served, mia: Browsing) -> None:
    approval = await a_call(seeds)
    forged = await always(mia, approval.id, csrf="made-up", standing_id=site.client.new_standing_id())
    assert forged.status == 403
    assert await site.client.standings() == []
    await (await always(mia, approval.id)).submit()
    (made,) = await site.client.standings()
    assert (await mia.post(f"/standing/{made.id}/revoke", [("csrf", "made-up")])).status == 403
    assert (await site.client.standing(made.id)).revoked_at is None


async def test_a_request_without_a_tool_makes_none(seeds: Seeds, mia: Browsing) -> None:
    approval = await seeds.asks({"total": 3})
    page = await mia.open(f"/approvals/{approval.id}")
    assert "Always approve" not in page.text
    assert (await always(mia, approval.id)).status == 409
