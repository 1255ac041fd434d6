"""Standing approvals: each is used in the transaction that opens the approval it decides, or a person is asked."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import AlreadyDecided, LeaseLost, StandingNotFound
from agentflow.ids import STANDING, new_id
from agentflow.payloads import canonical, digest
from agentflow.requests import NewStanding
from agentflow.states import ApprovalStatus, EntryKind, RunStatus, Verdict
from tests.support.stores import (
    a_decision,
    a_gate,
    a_gated_run,
    a_turn,
    approvals_of,
    claimed,
    kinds_of,
)

if TYPE_CHECKING:
    from agentflow.records import Approval, Standing
    from agentflow.store import Store
    from agentflow.testing import FakeClock
    from tests.support.stores import Database

ANY = '{"type":"object"}'


def a_standing(store: Store, **given: Any) -> NewStanding:
    """One for every call of `refund` in runs of `review`, for an hour."""
    values: dict[str, Any] = {
        "id": new_id(STANDING, store.now()),
        "task": "review",
        "tool": "refund",
        "terms": ANY,
        "made_by": "mia",
        "reason": "small ones",
        "hold_for": timedelta(hours=1),
    }
    return NewStanding(**values | given)


async def a_call(store: Store, made: Standing, **given: Any) -> Approval:
    """The approval of a call that a run asks about, the standing approval having been found to cover it."""
    lease = await a_turn(store)
    await store.open_waits(lease, [a_gate(store, tool="refund", standing=made.id, **given)])
    (approval,) = await approvals_of(store, lease.run_id)
    return approval


async def test_what_is_made_is_what_is_read(store: Store) -> None:
    made = await store.add_standing(a_standing(store, most_uses=3, approval_id="apr_1"))

    assert (made.task, made.tool, made.terms, made.uses, made.most_uses) == ("review", "refund", ANY, 0, 3)
    assert (made.made_by, made.reason, made.approval_id) == ("mia", "small ones", "apr_1")
    assert made.expires_at == store.now() + timedelta(hours=1)
    assert (made.revoked_at, made.revoked_by) == (None, None)
    assert await store.standing(made.id) == made
    assert list(await store.standings()) == [made]
    assert list(await store.standings_for("review", "refund")) == [made]
    assert list(await store.standings_for("review", "pay")) == []
    assert list(await store.standings_for("other", "refund")) == []


async def test_the_same_id_again_is_the_same_one(store: Store) -> None:
    asked = a_standing(store)
    both = await asyncio.gather(store.add_standing(asked), store.add_standing(asked))
    assert both[0] == both[1]
    assert len(await store.standings()) == 1


async def test_it_decides_as_the_approval_opens_and_the_wait_is_over_in_the_same_transaction(store: Store) -> None:
    made = await store.add_standing(a_standing(store))
    data = '{"amount": 20, "order": "A-1"}'
    approval = await a_call(store, made, data=data, said="it is fine")

    assert (approval.status, approval.decided_by, approval.channel) == (
        ApprovalStatus.APPROVED, f"standing:{made.id}", "standing",
    )  # fmt: skip
    assert (approval.tool, approval.said, approval.standing_id) == ("refund", "it is fine", made.id)
    assert approval.final == data
    assert approval.final_digest == digest(canonical(json.loads(data)))
    assert approval.decided_at == store.now()
    assert await store.waits(approval.run_id) == []
    assert (await kinds_of(store, approval.run_id))[-2:] == [EntryKind.WAIT_OPENED, EntryKind.WAIT_RESOLVED]
    assert (await store.run(approval.run_id)).status is RunStatus.RUNNING
    assert (await store.standing(made.id)).uses == 1


async def test_a_run_that_would_park_on_it_goes_on_instead(store: Store) -> None:
    made = await store.add_standing(a_standing(store))
    lease = await a_turn(store)
    gate = a_gate(store, tool="refund", standing=made.id)
    assert await store.park(lease, [gate], [gate.key]) is RunStatus.QUEUED
    assert [one.run_id for one in await claimed(store)] == [lease.run_id]


async def test_nobody_decides_it_a_second_time(store: Store) -> None:
    made = await store.add_standing(a_standing(store))
    approval = await a_call(store, made)
    with pytest.raises(AlreadyDecided, match=f"standing:{made.id}"):
        await store.decide(a_decision(approval.id, Verdict.REJECT))


async def test_after_its_last_use_a_person_is_asked(store: Store) -> None:
    made = await store.add_standing(a_standing(store, most_uses=2))
    statuses = [(await a_call(store, made)).status for _ in range(3)]
    assert statuses == [ApprovalStatus.APPROVED, ApprovalStatus.APPROVED, ApprovalStatus.PENDING]
    assert (await store.standing(made.id)).uses == 2
    assert list(await store.standings_for("review", "refund")) == []
    assert list(await store.standings(holding=True)) == []
    assert len(await store.standings()) == 1


async def test_it_expires_by_the_stores_clock(store: Store, clock: FakeClock) -> None:
    made = await store.add_standing(a_standing(store))
    clock.advance("59m")
    assert (await a_call(store, made)).status is ApprovalStatus.APPROVED
    clock.advance("1m")
    asked = await a_call(store, made)
    assert (asked.status, asked.standing_id) == (ApprovalStatus.PENDING, None)
    assert list(await store.standings_for("review", "refund")) == []
    assert list(await store.standings(holding=True)) == []


async def test_once_revoked_it_decides_nothing_more_and_what_it_has_decided_stands(
    store: Store, clock: FakeClock
) -> None:
    made = await store.add_standing(a_standing(store))
    before = await a_call(store, made)
    revoked = await store.revoke_standing(made.id, by="ada")
    clock.advance("1m")
    again = await store.revoke_standing(made.id, by="bob")

    assert (revoked.revoked_by, revoked.revoked_at) == ("ada", store.now() - timedelta(minutes=1))
    assert again == revoked
    assert (await a_call(store, made)).status is ApprovalStatus.PENDING
    assert (await store.approval(before.id)).status is ApprovalStatus.APPROVED
    assert list(await store.standings(holding=True)) == []
    with pytest.raises(StandingNotFound):
        await store.revoke_standing("sta_none", by="ada")
    with pytest.raises(StandingNotFound):
        await store.standing("sta_none")


@pytest.mark.parametrize(
    "given",
    [{"tool": "pay"}, {"tool": ""}, {"risk": "critical"}, {"allow": (Verdict.CORRECT, Verdict.REJECT)}],
    ids=["another tool", "no tool", "critical risk", "may not be approved as it is"],
)
async def test_it_is_for_its_own_tool_and_never_where_a_person_is_asked_each_time(
    store: Store, given: dict[str, Any]
) -> None:
    made = await store.add_standing(a_standing(store))
    lease = await a_turn(store)
    await store.open_waits(lease, [a_gate(store, **{"tool": "refund", "standing": made.id} | given)])
    (approval,) = await approvals_of(store, lease.run_id)
    assert (approval.status, approval.standing_id) == (ApprovalStatus.PENDING, None)
    assert (await store.standing(made.id)).uses == 0


async def test_it_is_for_its_own_task(store: Store) -> None:
    made = await store.add_standing(a_standing(store, task="other"))
    assert (await a_call(store, made)).status is ApprovalStatus.PENDING
    assert (await store.standing(made.id)).uses == 0


async def test_one_that_is_not_there_asks_a_person(store: Store) -> None:
    lease = await a_turn(store)
    await store.open_waits(lease, [a_gate(store, tool="refund", standing="sta_none")])
    assert [one.status for one in await approvals_of(store, lease.run_id)] == [ApprovalStatus.PENDING]


async def test_processes_that_use_it_at_once_share_its_uses(database: Database) -> None:
    """Whoever comes after the last use finds it used up, though all have read that it holds."""
    stores = [await database.open() for _ in range(3)]
    made = await stores[0].add_standing(a_standing(stores[0], most_uses=4))
    opened = []
    for n in range(9):
        store = stores[n % 3]
        lease = await a_turn(store)
        opened.append(store.open_waits(lease, [a_gate(store, tool="refund", standing=made.id)]))
    await asyncio.gather(*opened)

    assert (await stores[0].standing(made.id)).uses == 4
    pending = await stores[1].counts()
    assert pending.pending_approvals == 5


async def test_who_revokes_it_while_it_is_used_is_before_or_after(database: Database) -> None:
    one, other = await database.open(), await database.open()
    made = await one.add_standing(a_standing(one))
    lease = await a_turn(one)
    gate = a_gate(one, tool="refund", standing=made.id)
    await asyncio.gather(one.open_waits(lease, [gate]), other.revoke_standing(made.id, by="ada"))

    (approval,) = await approvals_of(one, lease.run_id)
    used = (await one.standing(made.id)).uses == 1
    assert approval.status is (ApprovalStatus.APPROVED if used else ApprovalStatus.PENDING)


async def test_a_turn_that_has_lost_its_run_uses_nothing(store: Store) -> None:
    made = await store.add_standing(a_standing(store))
    lease = await a_turn(store)
    await store.cancel(lease.run_id, by="ada", reason="")
    with pytest.raises(LeaseLost):
        await store.open_waits(lease, [a_gate(store, tool="refund", standing=made.id)])
    assert (await store.standing(made.id)).uses == 0


async def test_what_people_decided_about_such_calls_is_found_newest_first(store: Store, clock: FakeClock) -> None:
    made = await store.add_standing(a_standing(store))
    decided = []
    for verdict in (Verdict.APPROVE, Verdict.REJECT, Verdict.CORRECT):
        approval = await a_gated_run(store, tool="refund")
        final = '{"total":9}' if verdict is Verdict.CORRECT else None
        await store.decide(a_decision(approval.id, verdict, final=final))
        decided.append(approval.id)
        clock.advance("1m")
    await a_call(store, made)
    await a_gated_run(store, tool="refund")
    other = await a_gated_run(store, tool="pay")
    await store.decide(a_decision(other.id))
    withdrawn = await a_gated_run(store, tool="refund")
    await store.cancel(withdrawn.run_id, by="ada", reason="")

    found = await store.decided_calls("review", "refund", limit=10)
    assert [one.id for one in found] == decided[::-1]
    assert [one.id for one in await store.decided_calls("review", "refund", limit=1)] == decided[2:]
