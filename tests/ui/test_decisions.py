"""Deciding without scripts: plain forms, from the page to the record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import IllegalTransition
from agentflow.states import ApprovalStatus, Verdict
from tests.ui.stories import the_invoice

if TYPE_CHECKING:
    from tests.support.server import Served
    from tests.ui.conftest import Browsing, MovedClock
    from tests.ui.seeding import Seeds

APPROVE = ("verdict", "approve")
REJECT = ("verdict", "reject")
ODD = {
    "big": 2**70,
    "ratio": 1.0,
    "none": None,
    "empty": "",
    "list": [],
    "text": "  a\nb ",
    "flag": True,
    "a/b~c": [1, 2],
}


async def test_an_untouched_form_approves_exactly_what_was_proposed(site: Served, seeds: Seeds, mia: Browsing) -> None:
    asked = await seeds.asks(ODD, title="Odd values")
    shown = await (await mia.open(f"/approvals/{asked.id}")).submit(APPROVE)
    decided = await site.client.approval(asked.id)
    assert shown.path == f"/approvals/{asked.id}"
    assert "Approved by mia" in shown.text
    assert decided.status is ApprovalStatus.APPROVED
    assert decided.decided_by == "mia"
    assert decided.channel == "web"
    assert json.loads(decided.final or "") == ODD
    assert "9999" not in shown.text


@pytest.mark.parametrize("data", ["text", "", 7, None, True, [1, 2], [], {}, [{"a": None}], {"": {"": ""}}, "\u202e"])
async def test_data_of_any_shape_can_be_approved_and_seen(
    site: Served, seeds: Seeds, mia: Browsing, data: object
) -> None:
    asked = await seeds.asks(data, title="Some data")
    assert (await mia.open("/inbox")).status == 200
    page = await mia.open(f"/approvals/{asked.id}")
    as_json = await page.submit(("action", "view:json"))
    assert json.loads(dict(as_json.fields)["json"]) == data
    assert (await page.submit(APPROVE)).status == 200
    assert json.loads((await site.client.approval(asked.id)).final or "") == data


async def test_a_gate_that_takes_corrections_only_says_so(site: Served, seeds: Seeds, mia: Browsing) -> None:
    asked = await seeds.asks({"a": 1}, title="Fill in", allow=(Verdict.CORRECT, Verdict.REJECT))
    page = await mia.open(f"/approvals/{asked.id}")
    refused = await page.submit(APPROVE)
    assert refused.status == 422
    assert "one of: correct, reject" in refused.text
    review = await refused.submit(APPROVE, a="2")
    await review.submit(APPROVE)
    assert (await site.client.approval(asked.id)).status is ApprovalStatus.CORRECTED


async def test_a_correction_is_shown_before_it_is_recorded_and_keeps_its_types(
    site: Served, seeds: Seeds, mia: Browsing
) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    review = await page.submit(APPROVE, total="1250.50", **{"f:/lines/0/quantity": "9"})
    assert "Review your changes" in review.text
    assert "Approve with 2 changes" in review.text
    assert (await site.client.approval(asked.id)).is_pending, "a review records nothing"

    done = await review.submit(APPROVE)
    decided = await site.client.approval(asked.id)
    assert "Approved with 2 changes" in done.text
    assert decided.status is ApprovalStatus.CORRECTED
    final = json.loads(decided.final or "")
    assert final["total"] == "1250.50"
    assert final["lines"][0]["quantity"] == 9
    assert final["due"] is None
    assert final["lines"][1] == json.loads(decided.data)["lines"][1]


async def test_changes_that_were_not_the_ones_reviewed_are_reviewed_again(
    site: Served, seeds: Seeds, mia: Browsing
) -> None:
    asked = await the_invoice(seeds)
    review = await (await mia.open(f"/approvals/{asked.id}")).submit(APPROVE, total="1250.50")
    again = await review.submit(APPROVE, total="99999.99")
    assert "99999.99" in again.text
    assert "Review your changes" in again.text
    assert (await site.client.approval(asked.id)).is_pending


async def test_enter_in_a_field_reviews_and_never_decides(site: Served, seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    first_button = page.html.index("<button", page.html.index('id="decision"'))
    assert 'value="review"' in page.html[first_button : first_button + 120], "Enter presses a form's first button"
    review = await page.submit(("verdict", "review"))
    assert "Nothing is changed" in review.text
    assert (await site.client.approval(asked.id)).is_pending


async def test_back_from_the_review_everything_typed_is_there(seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    review = await page.submit(APPROVE, total="1250.50", comment="two\r\nlines")
    back = await review.submit(("action", "view:edit"))
    assert dict(back.fields)["f:/total"] == "1250.50"
    assert dict(back.fields)["comment"] == "two\r\nlines"


async def test_a_rejection_needs_a_reason_and_records_it(site: Served, seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    refused = await page.submit(REJECT, total="77.77")
    assert refused.status == 422
    assert "A rejection needs a reason" in refused.text
    assert dict(refused.fields)["f:/total"] == "77.77"
    assert (await site.client.approval(asked.id)).is_pending
    done = await refused.submit(REJECT, comment="Wrong supplier")
    decided = await site.client.approval(asked.id)
    assert "Rejected by mia" in done.text
    assert "Wrong supplier" in done.text
    assert decided.status is ApprovalStatus.REJECTED
    assert decided.comment == "Wrong supplier"


async def test_what_does_not_fit_is_said_beside_the_field_and_nothing_typed_is_lost(
    site: Served, seeds: Seeds, mia: Browsing
) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    changed = {"issued": "2026-02-31", "f:/lines/0/quantity": "1.000,5", "supplier": "Meyer", "comment": "hm"}
    refused = await page.submit(APPROVE, **changed)
    assert refused.status == 422
    assert 'role="alert"' in refused.html
    assert "Nothing was sent yet" in refused.text
    kept = dict(refused.fields)
    assert kept["f:/issued"] == "2026-02-31"
    assert kept["f:/lines/0/quantity"] == "1.000,5"
    assert kept["f:/supplier"] == "Meyer"
    assert kept["comment"] == "hm"
    assert refused.html.count('aria-invalid="true"') == 2
    assert (await site.client.approval(asked.id)).is_pending


async def test_rows_are_added_moved_and_removed_by_plain_buttons(site: Served, seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    more = await page.submit(("action", "add:/lines"), total="1300.50")
    assert dict(more.fields)["f:/total"] == "1300.50"
    filled = {"f:/lines/+1/description": "Hotel", "f:/lines/+1/quantity": "2", "f:/lines/+1/unit_price": "50.00"}
    moved = await more.submit(("action", "up:/lines/+1"), **filled)
    fewer = await moved.submit(("action", "remove:/lines/0"))
    assert (await site.client.approval(asked.id)).is_pending
    review = await fewer.submit(APPROVE)
    await review.submit(APPROVE)
    final = json.loads((await site.client.approval(asked.id)).final or "")
    assert [line["description"] for line in final["lines"]] == ["Hotel", "Travel"]
    assert final["lines"][0]["quantity"] == 2
    assert final["total"] == "1300.50"


async def test_the_whole_document_can_be_edited_as_json(site: Served, seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    as_json = await page.submit(("action", "view:json"), total="1250.50")
    text = dict(as_json.fields)["json"]
    assert json.loads(text)["total"] == "1250.50"
    broken = await as_json.submit(APPROVE, json=text.replace('"1250.50"', '"1250.50'))
    assert broken.status == 422
    assert "line" in broken.text
    assert '"1250.50,' in dict(broken.fields)["json"]
    review = await broken.submit(APPROVE, json=text.replace("1250.50", "1251.50"))
    await review.submit(APPROVE)
    assert json.loads((await site.client.approval(asked.id)).final or "")["total"] == "1251.50"


async def test_json_edits_are_not_dropped_on_the_way_back_to_the_fields(seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    as_json = await (await mia.open(f"/approvals/{asked.id}")).submit(("action", "view:json"))
    same = await as_json.submit(("action", "view:fields"))
    assert "f:/total" in dict(same.fields)
    edited = dict(as_json.fields)["json"].replace("1200.50", "1.00")
    kept = await as_json.submit(("action", "view:fields"), json=edited)
    assert json.loads(dict(kept.fields)["json"])["total"] == "1.00"
    discarded = await kept.submit(("action", "view:reset"))
    assert dict(discarded.fields)["f:/total"] == "1200.50"


async def test_the_same_page_sent_twice_is_one_decision(site: Served, seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    first, second = await page.submit(APPROVE), await page.submit(APPROVE)
    assert (first.status, second.status) == (200, 200)
    assert second.path == f"/approvals/{asked.id}"
    entries = await site.client.journal(asked.run_id)
    assert sum(entry.kind == "wait_resolved" for entry in entries) == 1


async def test_the_second_of_two_reviewers_learns_who_was_first_and_keeps_the_draft(
    site: Served, seeds: Seeds, mia: Browsing
) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    await site.client.decide(asked.id, Verdict.APPROVE, by="ana", channel="cli", comment="Fine by me")
    late = await page.submit(APPROVE, total="1250.50", comment="Stamp covers it")
    assert late.status == 409
    assert "ana was first" in late.text
    assert "Fine by me" in late.text
    assert "1250.50" in late.text
    assert "Stamp covers it" in late.text
    assert (await site.client.approval(asked.id)).decided_by == "ana"


async def test_an_answer_after_the_deadline_is_refused_even_if_nobody_noticed_the_deadline(
    site: Served, seeds: Seeds, mia: Browsing, clock: MovedClock
) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    clock.advance(hours=4)
    late = await page.submit(APPROVE, total="1250.50")
    review_or_refusal = late if late.status == 410 else await late.submit(APPROVE)
    assert review_or_refusal.status == 410
    assert "had expired" in review_or_refusal.text
    assert "1250.50" in review_or_refusal.text
    assert (await site.client.approval(asked.id)).status is ApprovalStatus.TIMED_OUT
    assert (await page.submit(APPROVE)).status == 410


async def test_a_withdrawn_request_says_so(site: Served, seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    await site.client.cancel(asked.run_id, by="ana")
    late = await page.submit(APPROVE)
    assert late.status == 409
    assert "withdrawn" in late.text
    assert "Withdrawn" in (await mia.open(f"/approvals/{asked.id}")).text


async def test_a_request_that_changed_since_it_was_read_is_shown_again(
    site: Served, seeds: Seeds, mia: Browsing
) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    stale = await page.submit(APPROVE, version="7", supplier="Müller & Söhne GmbH")
    assert stale.status == 412
    assert "changed since you opened it" in stale.text
    assert dict(stale.fields)["version"] == "1"
    assert (await site.client.approval(asked.id)).is_pending


async def test_a_gate_that_takes_no_corrections_shows_no_inputs_and_accepts_none(
    site: Served, seeds: Seeds, mia: Browsing
) -> None:
    asked = await seeds.asks({"amount": 900}, title="Refund", allow=(Verdict.APPROVE, Verdict.REJECT))
    page = await mia.open(f"/approvals/{asked.id}")
    assert not [name for name, _ in page.fields if name.startswith("f:")]
    tampered = [*page.fields, ("f:/amount", "9000"), APPROVE]
    await mia.post(f"/approvals/{asked.id}/decisions", tampered)
    assert json.loads((await site.client.approval(asked.id)).final or "") == {"amount": 900}


async def test_the_reviewer_cannot_be_claimed_by_a_form(site: Served, seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    extra = [("decided_by", "ceo"), ("by", "ceo"), ("reviewer", "ceo"), APPROVE]
    await mia.post(f"/approvals/{asked.id}/decisions", page.fields + extra)
    assert (await site.client.approval(asked.id)).decided_by == "mia"


@pytest.mark.parametrize("verb", ["cancel", "resume"])
async def test_steering_a_run_is_asked_back_before_it_is_done(
    site: Served, seeds: Seeds, mia: Browsing, verb: str
) -> None:
    run = await seeds.diverged("ocr#1", "extract_text#1")
    asked = await mia.open(f"/runs/{run.id}/{verb}")
    assert (await site.client.run(run.id)).status == "needs_attention"
    done = await asked.submit()
    assert done.path == f"/runs/{run.id}"
    assert (await site.client.run(run.id)).status == {"cancel": "cancelled", "resume": "queued"}[verb]
    if verb == "cancel":
        assert (await asked.submit()).status == 409
        with pytest.raises(IllegalTransition):
            await site.client.cancel(run.id, by="mia")


async def test_a_decision_says_how_soon_the_run_went_on(
    site: Served, seeds: Seeds, mia: Browsing, clock: MovedClock
) -> None:
    asked = await the_invoice(seeds)
    await (await mia.open(f"/approvals/{asked.id}")).submit(APPROVE)
    assert "waiting for a worker" in (await mia.open(f"/approvals/{asked.id}")).text
    clock.advance(milliseconds=14)
    again = await seeds.claimed_again(asked.run_id)
    await seeds.did(again, "db.invoices.save#1")
    assert "run resumed in 14 ms" in (await mia.open(f"/approvals/{asked.id}")).text
