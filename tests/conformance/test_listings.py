"""Listings: what they show, what a search finds, and pages that neither skip nor repeat while rows come and go."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import InvalidSetting
from agentflow.requests import ApprovalFilter, Completed, RunFilter
from agentflow.states import ApprovalStatus, RunStatus, Verdict
from agentflow.store import Store
from agentflow.testing import FakeClock
from tests.support.stores import a_child, a_decision, a_gate, a_gated_run, a_trigger, a_turn, claimed

if TYPE_CHECKING:
    from agentflow.records import Approval, Run


async def runs_like(store: Store, **which: Any) -> list[str]:
    return [run.id for run in (await store.runs(RunFilter(**which))).items]


async def approvals_like(store: Store, **which: Any) -> list[str]:
    return [approval.id for approval in (await store.approvals(ApprovalFilter(**which))).items]


async def all_runs(store: Store, limit: int, **which: Any) -> list[Run]:
    """Every page, one after the other."""
    found, cursor = [], None
    while True:
        page = await store.runs(RunFilter(limit=limit, cursor=cursor, **which))
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def all_approvals(store: Store, limit: int, **which: Any) -> list[Approval]:
    found, cursor = [], None
    while True:
        page = await store.approvals(ApprovalFilter(limit=limit, cursor=cursor, **which))
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def gated_runs(store: Store, count: int, **given: Any) -> list[str]:
    """Approvals of `count` runs, made in few commits."""
    await store.trigger_many([a_trigger() for _ in range(count)])
    leases = await claimed(store, limit=count)
    gates = [a_gate(store, priority=n % 3, **given) for n in range(count)]
    await asyncio.gather(*(store.park(lease, [gate], [gate.key]) for lease, gate in zip(leases, gates, strict=True)))
    return [str(gate.subject) for gate in gates]


# -- runs


async def test_runs_come_newest_first(store: Store, clock: FakeClock) -> None:
    made = []
    for _ in range(3):
        made.append((await store.trigger(a_trigger())).id)
        clock.advance("1s")

    assert await runs_like(store) == made[::-1]


async def test_runs_are_filtered_by_status_task_and_parent(store: Store) -> None:
    parent = await a_turn(store)
    child = await a_child(store, parent)
    done = await a_turn(store, task="archive")
    await store.finish(done, Completed("1"))

    assert await runs_like(store, statuses=("running",)) == [parent.run_id]
    assert set(await runs_like(store, statuses=("queued", "completed"))) == {child.id, done.run_id}
    assert await runs_like(store, task="archive") == [done.run_id]
    assert await runs_like(store, parent_id=parent.run_id) == [child.id]
    assert await runs_like(store, task="archive", statuses=("queued",)) == []


@pytest.mark.parametrize("text", ["100%", "a_b", "back\\slash", "%", "_", "\\", "'; DROP TABLE x; --", "Grüße", "日本"])
async def test_a_search_for_any_characters_finds_them_and_nothing_else(store: Store, text: str) -> None:
    """`%`, `_` and `\\` are wild cards of the database's, not of the person's."""
    found = await store.trigger(a_trigger(f"pay {text} now"))
    by_key = await store.trigger(a_trigger("plain", idempotency_key=f"order {text}!"))
    await store.trigger(a_trigger("pay 100 axb backXslash now"))

    assert set(await runs_like(store, search=text)) == {found.id, by_key.id}
    gate = await a_gated_run(store, title=f"pay {text} now")
    await a_gated_run(store, title="pay 100 axb backXslash now")
    assert await approvals_like(store, search=text) == [gate.id]


async def test_a_run_is_found_by_the_start_of_its_id(store: Store, clock: FakeClock) -> None:
    one = await store.trigger(a_trigger())
    clock.advance("1d")
    await store.trigger(a_trigger())

    assert await runs_like(store, search=one.id) == [one.id]
    assert await runs_like(store, search=one.id[:9]) == [one.id]
    assert await runs_like(store, search=one.id[4:]) == []


async def test_pages_of_runs_have_each_run_once(store: Store) -> None:
    made = {run.id for run in await store.trigger_many([a_trigger() for _ in range(23)])}

    listed = [run.id for run in await all_runs(store, 5)]

    assert set(listed) == made
    assert len(listed) == 23
    assert listed == sorted(listed, reverse=True)


async def test_a_listing_that_fits_has_no_further_page(store: Store) -> None:
    await store.trigger_many([a_trigger() for _ in range(5)])

    page = await store.runs(RunFilter(limit=5))

    assert (len(page.items), page.next_cursor) == (5, None)
    assert (await store.runs(RunFilter(task="none"))).next_cursor is None


async def test_pages_skip_nothing_while_runs_leave_and_come(store: Store, clock: FakeClock) -> None:
    made = [run.id for run in await store.trigger_many([a_trigger() for _ in range(30)])]
    order = sorted(made, reverse=True)
    first = await store.runs(RunFilter(limit=10, statuses=("queued",)))
    assert [run.id for run in first.items] == order[:10]
    for run_id in [*order[3:8], order[9], order[10], order[15]]:
        await store.cancel(run_id, by="mia", reason="")
    clock.advance("1s")
    await store.trigger(a_trigger())

    rest = await store.runs(RunFilter(limit=30, statuses=("queued",), cursor=first.next_cursor))

    assert [run.id for run in rest.items] == [run for run in order[10:] if run not in {order[10], order[15]}]


# -- approvals


async def test_pending_approvals_come_by_urgency(store: Store) -> None:
    """By deadline; a step of priority is worth an hour; without a deadline, last."""
    hours = timedelta(hours=1)
    never = (await a_gated_run(store)).id
    later = (await a_gated_run(store, timeout=5 * hours)).id
    soon = (await a_gated_run(store, timeout=2 * hours)).id
    raised = (await a_gated_run(store, timeout=5 * hours, priority=4)).id

    assert await approvals_like(store) == [raised, soon, later, never]


async def test_decided_approvals_come_newest_first(store: Store, clock: FakeClock) -> None:
    approvals = [(await a_gated_run(store)).id for _ in range(3)]
    still_pending = (await a_gated_run(store)).id
    for approval_id in approvals:
        clock.advance("1s")
        await store.decide(a_decision(approval_id))

    assert await approvals_like(store, pending=False) == approvals[::-1]
    assert await approvals_like(store, pending=True) == [still_pending]
    assert set(await approvals_like(store, pending=None)) == {*approvals, still_pending}


async def test_withdrawn_and_timed_out_approvals_are_listed_as_resolved(store: Store, clock: FakeClock) -> None:
    withdrawn, overdue = await a_gated_run(store), await a_gated_run(store, timeout=timedelta(hours=1))
    await store.cancel(withdrawn.run_id, by="mia", reason="")
    clock.advance("1h")
    await store.expire(limit=1)

    page = (await store.approvals(ApprovalFilter(pending=False))).items
    assert {one.id: one.status for one in page} == {
        withdrawn.id: ApprovalStatus.CANCELLED,
        overdue.id: ApprovalStatus.TIMED_OUT,
    }


async def test_approvals_are_filtered_by_run_and_searched_by_what_they_show(store: Store) -> None:
    one = await a_gated_run(store, title="Invoice 17", summary="from Löwe", data='{"iban":"DE02"}')
    await a_gated_run(store, title="Invoice 18")

    assert await approvals_like(store, run_id=one.run_id) == [one.id]
    for text in ("17", "Löwe", "DE02", one.id):
        assert await approvals_like(store, search=text) == [one.id]
    assert len(await approvals_like(store, search="review")) == 2


@pytest.mark.parametrize("pending", [True, False, None])
async def test_pages_of_approvals_have_each_approval_once(store: Store, pending: bool | None) -> None:
    """All of them were made, and decided, at the same instant, so only the id tells them apart."""
    approvals = await gated_runs(store, 23)
    if pending is False:
        await asyncio.gather(*(store.decide(a_decision(one, Verdict.REJECT)) for one in approvals))

    listed = [one.id for one in await all_approvals(store, 5, pending=pending)]

    assert len(listed) == 23
    assert set(listed) == set(approvals)
    assert listed == await approvals_like(store, pending=pending, limit=50)


async def test_pages_skip_no_approval_while_others_are_decided(store: Store) -> None:
    await gated_runs(store, 30)
    order = await approvals_like(store, limit=30)
    first = await store.approvals(ApprovalFilter(limit=10))
    await asyncio.gather(*(store.decide(a_decision(one)) for one in [*order[2:10], order[12]]))

    rest = await store.approvals(ApprovalFilter(limit=30, cursor=first.next_cursor))

    assert [one.id for one in rest.items] == [*order[10:12], *order[13:]]


@pytest.mark.parametrize("cursor", ["x", "x.y", "1e5.apr_1", ".", "²."])
async def test_a_cursor_no_listing_gave_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidSetting, match="cursor"):
        await store.approvals(ApprovalFilter(cursor=cursor))


async def test_counts_say_how_many_of_each_there_are(store: Store) -> None:
    assert (await store.counts()).runs == {}
    await gated_runs(store, 4)
    await store.trigger(a_trigger())
    (first, *_) = await approvals_like(store)
    await store.decide(a_decision(first))

    counts = await store.counts()

    assert counts.runs == {RunStatus.WAITING: 3, RunStatus.QUEUED: 2}
    assert counts.pending_approvals == 3


async def test_a_long_inbox_pages_to_its_end_without_gap_or_repetition(store: Store) -> None:
    """That a page deep in it costs no more than the first is said by the query plans in tests/store."""
    for _ in range(3):
        await gated_runs(store, 1_000)
    assert (await store.counts()).pending_approvals == 3_000

    cursor, seen = None, []
    for _ in range(100):
        page = await store.approvals(ApprovalFilter(limit=30, cursor=cursor))
        seen += [one.id for one in page.items]
        cursor = page.next_cursor

    assert (len(seen), len(set(seen)), cursor) == (3_000, 3_000, None)
