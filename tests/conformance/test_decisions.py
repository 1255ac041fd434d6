"""One command decides: it checks, computes the outcome, records it and lets the run go on, all in one transaction."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from agentflow.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalNotFound,
    ApprovalWithdrawn,
    IdempotencyMismatch,
    InvalidDecision,
    StaleVersion,
)
from agentflow.payloads import digest
from agentflow.requests import Completed
from agentflow.states import ApprovalStatus, EntryKind, RunStatus, Verdict
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import (
    a_decision,
    a_gate,
    a_gated_run,
    a_timer,
    a_turn,
    an_approval,
    claimed,
    everything_of,
    kinds_of,
    last_entry,
)

APPROVE, CORRECT, REJECT = Verdict.APPROVE, Verdict.CORRECT, Verdict.REJECT


async def test_an_open_approval_is_what_was_asked_for(store: Store) -> None:
    approval = await a_gated_run(
        store,
        title="Pay Löwe & Co",
        risk="high",
        confidence=0.25,
        tags='{"team":"finance"}',
        timeout=timedelta(hours=2),
    )

    assert (approval.status, approval.version, approval.is_pending) == (ApprovalStatus.PENDING, 1, True)
    assert (approval.title, approval.risk, approval.confidence) == ("Pay Löwe & Co", "high", 0.25)
    assert (approval.task, approval.key, approval.tags) == ("review", "approval#1", '{"team":"finance"}')
    assert approval.deadline_at == store.now() + timedelta(hours=2)
    assert approval.allowed == (APPROVE, CORRECT, REJECT)
    assert (approval.decided_at, approval.decided_by, approval.final, approval.patch) == (None, None, None, None)


async def test_approving_records_the_data_as_it_stood(store: Store, clock: FakeClock) -> None:
    approval = await a_gated_run(store)
    clock.advance("5m")

    receipt = await store.decide(a_decision(approval.id, comment="fine", channel="cli"))

    assert (receipt.outcome, receipt.verdict, receipt.repeated) == (ApprovalStatus.APPROVED, APPROVE, False)
    assert (receipt.run_id, receipt.approval_id) == (approval.run_id, approval.id)
    assert (receipt.final, receipt.final_digest) == (approval.data, digest(approval.data))
    stored = await store.approval(approval.id)
    assert (stored.status, stored.version, stored.decision_id) == (ApprovalStatus.APPROVED, 2, receipt.id)
    assert (stored.decided_by, stored.channel, stored.comment, stored.decided_at) == ("mia", "cli", "fine", store.now())
    assert (stored.final, stored.final_digest, stored.patch) == (receipt.final, receipt.final_digest, None)
    assert stored.data == approval.data


async def test_the_run_is_claimable_with_its_answer_in_the_same_commit(store: Store) -> None:
    approval = await a_gated_run(store)

    receipt = await store.decide(a_decision(approval.id, comment="fine"))

    assert (await store.run(approval.run_id)).status is RunStatus.QUEUED
    assert await store.waits(approval.run_id) == []
    entry = await last_entry(store, approval.run_id)
    assert (entry.kind, entry.key, entry.output) == (EntryKind.WAIT_RESOLVED, approval.key, approval.data)
    said = json.loads(str(entry.detail))
    assert (said["approval"], said["decision"], said["outcome"]) == (approval.id, receipt.id, "approved")
    assert (said["decided_by"], said["comment"], said["digest"]) == ("mia", "fine", receipt.final_digest)
    assert len(await claimed(store)) == 1


@pytest.mark.parametrize("verdict", [APPROVE, CORRECT])
async def test_other_data_is_a_correction_whatever_the_sender_calls_it(store: Store, verdict: Verdict) -> None:
    approval = await a_gated_run(store, data='{"total":10,"currency":"EUR"}')

    receipt = await store.decide(a_decision(approval.id, verdict, final='{"total":12,"currency":"EUR"}'))

    assert receipt.outcome is ApprovalStatus.CORRECTED
    stored = await store.approval(approval.id)
    assert json.loads(str(stored.final)) == {"total": 12, "currency": "EUR"}
    assert json.loads(str(stored.patch)) == [{"op": "replace", "path": "/total", "value": 12}]
    assert stored.final_digest == digest('{"currency":"EUR","total":12}')
    assert json.loads(stored.data)["total"] == 10
    assert (await last_entry(store, approval.run_id)).output == stored.final


@pytest.mark.parametrize("verdict", [APPROVE, CORRECT])
async def test_the_same_data_in_another_spelling_is_no_correction(store: Store, verdict: Verdict) -> None:
    approval = await a_gated_run(store, data='{"total":10,"currency":"EUR"}')

    receipt = await store.decide(a_decision(approval.id, verdict, final='{ "currency": "EUR", "total": 10.0 }'))

    assert receipt.outcome is ApprovalStatus.APPROVED
    assert (await store.approval(approval.id)).patch is None


async def test_rejecting_approves_no_data(store: Store) -> None:
    approval = await a_gated_run(store)

    receipt = await store.decide(a_decision(approval.id, REJECT, comment="not ours", final='{"total":1}'))

    assert (receipt.outcome, receipt.final, receipt.final_digest) == (ApprovalStatus.REJECTED, None, None)
    assert (await store.approval(approval.id)).final is None
    assert (await last_entry(store, approval.run_id)).output is None


async def test_the_same_decision_again_returns_the_first_receipt(store: Store, clock: FakeClock) -> None:
    approval = await a_gated_run(store)
    decision = a_decision(approval.id, final='{"total":11}')
    first = await store.decide(decision)
    before = await everything_of(store, approval.run_id)
    clock.advance("1d")

    again = await store.decide(decision)

    assert again.repeated
    assert (again.id, again.outcome, again.final, again.decided_at, again.run_id, again.final_digest) == (
        first.id, first.outcome, first.final, first.decided_at, first.run_id, first.final_digest
    )  # fmt: skip
    assert await everything_of(store, approval.run_id) == before


async def test_the_same_decision_again_is_answered_even_after_the_run_ended(store: Store) -> None:
    approval = await a_gated_run(store)
    await store.decide(a_decision(approval.id))
    (lease,) = await claimed(store)
    await store.finish(lease, Completed("1"))

    assert (await store.decide(a_decision(approval.id))).repeated


@pytest.mark.parametrize(
    "other", [{"final": '{"total":99}'}, {"comment": "other"}, {"verdict": REJECT}], ids=lambda other: next(iter(other))
)
async def test_the_same_id_with_other_content_is_refused(store: Store, other: dict[str, object]) -> None:
    approval = await a_gated_run(store)
    await store.decide(a_decision(approval.id, id="dec_1"))
    before = await everything_of(store, approval.run_id)

    with pytest.raises(IdempotencyMismatch, match="dec_1"):
        await store.decide(a_decision(approval.id, **{"id": "dec_1"} | other))

    assert await everything_of(store, approval.run_id) == before


async def test_the_same_id_for_another_approval_is_refused(store: Store) -> None:
    one, other = await a_gated_run(store), await a_gated_run(store)
    await store.decide(a_decision(one.id, id="dec_1"))

    with pytest.raises(IdempotencyMismatch):
        await store.decide(a_decision(other.id, id="dec_1"))

    assert (await store.approval(other.id)).is_pending


async def test_a_second_decision_is_told_who_was_first(store: Store) -> None:
    approval = await a_gated_run(store)
    await store.decide(a_decision(approval.id, REJECT, decided_by="tom"))
    before = await everything_of(store, approval.run_id)

    with pytest.raises(AlreadyDecided) as refused:
        await store.decide(a_decision(approval.id, APPROVE))

    assert (refused.value.outcome, refused.value.decided_by) == (ApprovalStatus.REJECTED, "tom")
    assert await everything_of(store, approval.run_id) == before


async def test_an_unknown_approval_is_not_found(store: Store) -> None:
    with pytest.raises(ApprovalNotFound, match="apr_none"):
        await store.decide(a_decision("apr_none"))
    with pytest.raises(ApprovalNotFound, match="apr_none"):
        await store.approval("apr_none")


async def test_a_withdrawn_approval_is_not_decided(store: Store) -> None:
    approval = await a_gated_run(store)
    await store.cancel(approval.run_id, by="tom", reason="")
    before = await everything_of(store, approval.run_id)

    with pytest.raises(ApprovalWithdrawn) as refused:
        await store.decide(a_decision(approval.id))

    assert refused.value.outcome == ApprovalStatus.CANCELLED
    assert await everything_of(store, approval.run_id) == before


async def test_a_superseded_approval_is_not_decided(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    gate = a_gate(store)
    await store.park(lease, [gate, a_timer(store)], ["sleep#1"])
    clock.advance("1h")
    (again,) = await claimed(store)
    await store.open_waits(again, [a_gate(store, replaces=gate.subject)])

    with pytest.raises(ApprovalWithdrawn) as refused:
        await store.decide(a_decision(str(gate.subject)))

    assert refused.value.outcome == ApprovalStatus.SUPERSEDED


async def test_a_decision_that_read_another_version_is_refused(store: Store) -> None:
    approval = await a_gated_run(store)
    before = await everything_of(store, approval.run_id)

    with pytest.raises(StaleVersion, match=approval.id):
        await store.decide(a_decision(approval.id, expected_version=approval.version + 1))
    assert await everything_of(store, approval.run_id) == before

    receipt = await store.decide(a_decision(approval.id, expected_version=approval.version))
    assert receipt.outcome is ApprovalStatus.APPROVED


@pytest.mark.parametrize(
    ("allow", "verdict", "final"),
    [
        ((APPROVE, CORRECT), REJECT, None),
        ((REJECT, CORRECT), APPROVE, None),
        ((APPROVE, REJECT), CORRECT, '{"total":11}'),
        ((APPROVE, REJECT), APPROVE, '{"total":11}'),
        ((CORRECT, REJECT), CORRECT, '{"total":10}'),
    ],
)
async def test_a_verdict_the_task_does_not_take_is_refused(
    store: Store, allow: tuple[Verdict, ...], verdict: Verdict, final: str | None
) -> None:
    """Judged by what the decision amounts to: an approval with other data is a correction, and the reverse."""
    approval = await a_gated_run(store, allow=allow)
    before = await everything_of(store, approval.run_id)

    with pytest.raises(InvalidDecision) as refused:
        await store.decide(a_decision(approval.id, verdict, final=final))

    assert all(word in refused.value.errors[0].wanted for word in allow)
    assert await everything_of(store, approval.run_id) == before
    assert (await store.approval(approval.id)).is_pending


async def test_a_refused_decision_may_be_sent_again_corrected(store: Store) -> None:
    approval = await a_gated_run(store, allow=(APPROVE, REJECT))
    with pytest.raises(InvalidDecision):
        await store.decide(a_decision(approval.id, id="dec_1", final="[]"))

    assert (await store.decide(a_decision(approval.id, id="dec_1"))).outcome is ApprovalStatus.APPROVED


async def test_a_decision_after_the_deadline_records_the_time_out_there_and_then(
    store: Store, clock: FakeClock
) -> None:
    approval = await a_gated_run(store, timeout=timedelta(hours=1))
    clock.advance("1h")

    with pytest.raises(ApprovalExpired, match=approval.id):
        await store.decide(a_decision(approval.id))

    stored = await store.approval(approval.id)
    assert (stored.status, stored.decided_by, stored.decided_at) == (ApprovalStatus.TIMED_OUT, "timeout", store.now())
    assert (await store.run(approval.run_id)).status is RunStatus.QUEUED
    assert (await kinds_of(store, approval.run_id)).count(EntryKind.WAIT_RESOLVED) == 1
    assert await store.expire(limit=10) == 0
    with pytest.raises(ApprovalExpired):
        await store.decide(a_decision(approval.id))
    assert (await kinds_of(store, approval.run_id)).count(EntryKind.WAIT_RESOLVED) == 1


async def test_a_decision_is_taken_up_to_the_deadline(store: Store, clock: FakeClock) -> None:
    approval = await a_gated_run(store, timeout=timedelta(hours=1))
    clock.advance(timedelta(hours=1) - timedelta(microseconds=1))

    assert (await store.decide(a_decision(approval.id))).outcome is ApprovalStatus.APPROVED


async def test_a_run_that_needs_attention_may_be_answered_and_stays_so(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    gate = a_gate(store)
    await store.open_waits(lease, [gate])
    clock.advance("1m")
    await store.sweep(limit=1, max_recoveries=0)
    assert (await store.run(lease.run_id)).status is RunStatus.NEEDS_ATTENTION

    await store.decide(a_decision(str(gate.subject)))

    assert (await store.run(lease.run_id)).status is RunStatus.NEEDS_ATTENTION
    assert (await store.resume(lease.run_id, by="mia")).status is RunStatus.QUEUED


async def test_each_of_several_gates_has_its_own_answer(store: Store) -> None:
    lease = await a_turn(store)
    gates = [a_gate(store, f"approval#{n}", data=f"[{n}]") for n in (1, 2, 3)]
    await store.park(lease, gates, [gate.key for gate in gates])

    await store.decide(a_decision(str(gates[1].subject)))

    assert {wait.key for wait in await store.waits(lease.run_id)} == {"approval#1", "approval#3"}
    assert (await last_entry(store, lease.run_id)).output == "[2]"


def test_an_approval_made_here_is_bound_to_its_data(clock: FakeClock) -> None:
    """The builder of these tests keeps the rule it helps to test."""
    assert an_approval(clock.now(), data="[1]").digest != an_approval(clock.now(), data="[2]").digest
