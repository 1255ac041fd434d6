"""Forks: a new run from a part of another one's journal, with other results where they are patched."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import ForkRefused, KeyNotRecorded, RunNotFound
from agentflow.requests import Completed, Failed, ForkRun, NewEntry, TryAgain, Undone
from agentflow.states import EntryKind, RunStatus
from tests.support.stores import a_gate, a_trigger, a_turn, an_entry, claimed

if TYPE_CHECKING:
    from agentflow.records import Entry, Run
    from agentflow.requests import Lease
    from agentflow.store import Store
    from agentflow.testing import FakeClock


async def a_journal(store: Store, **given: Any) -> Lease:
    """A turn that has fetched, drafted in a helper and charged."""
    lease = await a_turn(store, **given)
    await store.append(lease, an_entry("fetch#1", output="1"))
    await store.append(lease, an_entry("helper#1/draft#1", output='"a"', detail="undo:undraft"))
    await store.append(lease, NewEntry(EntryKind.SUCCEEDED, "helper#1", "await", output='"b"'))
    await store.append(lease, an_entry("charge#1", output='"paid"'))
    return lease


async def fork(store: Store, run_id: str, **given: Any) -> Run:
    return await store.fork(ForkRun(run_id=run_id, by="mia", **given))


async def of(store: Store, run_id: str) -> list[tuple[str, str | None, str | None]]:
    """What a fork begins with."""
    return [(one.kind.value, one.key, one.output) for one in await store.entries(run_id) if one.key is not None]


async def entry_of(store: Store, run_id: str, kind: EntryKind) -> Entry:
    return next(one for one in await store.entries(run_id) if one.kind is kind)


async def test_a_fork_has_the_journal_up_to_the_operation_and_no_further(store: Store) -> None:
    lease = await a_journal(store, queue="default", priority=3)

    made = await fork(store, lease.run_id, from_key="charge#1", reason="wrong card")

    original = await store.run(lease.run_id)
    assert (made.task, made.version, made.input) == (original.task, original.version, original.input)
    assert (made.status, made.root_id, made.parent_id, made.forked_from) == ("queued", made.id, None, original.id)
    assert [key for _, key, _ in await of(store, made.id)] == ["fetch#1", "helper#1/draft#1", "helper#1"]
    journal = await store.entries(made.id)
    assert [one.seq for one in journal] == list(range(1, len(journal) + 1))
    assert journal[-1].detail == f"forked by mia before charge#1: wrong card (from run {original.id})"
    assert original.status is RunStatus.RUNNING, "the original goes on"


async def test_a_worker_that_claims_a_fork_gets_its_journal(store: Store) -> None:
    lease = await a_journal(store)
    await store.finish(lease, Completed("1"))
    made = await fork(store, lease.run_id, from_key="charge#1")

    taken = [lease for lease in await claimed(store) if lease.run_id == made.id]

    assert taken[0].epoch > 1
    await store.append(taken[0], an_entry("charge#1"))


async def test_a_fork_from_a_scope_begins_before_everything_in_it(store: Store) -> None:
    lease = await a_journal(store)

    made = await fork(store, lease.run_id, from_key="helper#1")

    assert [key for _, key, _ in await of(store, made.id)] == ["fetch#1"]


async def test_a_patched_result_takes_the_place_of_the_recorded_one_and_the_journal_says_so(store: Store) -> None:
    lease = await a_journal(store)

    made = await fork(store, lease.run_id, from_key="charge#1", patch={"fetch#1": "2"})

    assert ("succeeded", "fetch#1", "2") in await of(store, made.id)
    told = await entry_of(store, made.id, EntryKind.FORKED)
    assert json.loads(told.input or "") == {"fetch#1": {"was": 1, "is": 2}}
    assert "with another result of fetch#1" in (told.detail or "")
    assert (await entry_of(store, lease.run_id, EntryKind.SUCCEEDED)).output == "1"


async def test_what_was_begun_and_has_no_end_begins_anew(store: Store) -> None:
    lease = await a_journal(store)
    await store.append(lease, an_entry("send#1", EntryKind.STARTED))
    await store.open_waits(lease, [a_gate(store)])

    made = await fork(store, lease.run_id)

    keys = [key for _, key, _ in await of(store, made.id)]
    assert keys == ["fetch#1", "helper#1/draft#1", "helper#1", "charge#1"]


async def test_a_fork_does_not_undo_what_the_original_did(store: Store) -> None:
    lease = await a_journal(store)
    made = await fork(store, lease.run_id)

    await store.cancel(made.id, by="mia", reason="")

    assert (await store.run(made.id)).status is RunStatus.CANCELLED
    assert (await store.cancel(lease.run_id, by="mia", reason="")).status is RunStatus.QUEUED, "which it does itself"


async def test_a_fork_of_a_failed_run_goes_on_from_the_failure(store: Store) -> None:
    lease = await a_turn(store)
    await store.append(lease, an_entry("fetch#1", EntryKind.FAILED, error="{}"))
    await store.finish(lease, TryAgain("{}", timedelta(0), "fetch#1"))
    (again,) = await claimed(store)
    await store.append(again, an_entry("fetch#1", EntryKind.FAILED, error="{}"))
    await store.finish(again, Failed("{}", "fetch#1"))

    made = await fork(store, lease.run_id)

    failures = [one for one in await store.entries(made.id) if one.kind is EntryKind.RUN_ATTEMPT_FAILED]
    assert [one.detail for one in failures] == ["fetch#1", "fetch#1"]
    assert (made.attempt, made.status) == (1, "queued")


async def test_a_fork_of_an_undone_run_begins_before_what_was_undone(store: Store) -> None:
    lease = await a_journal(store)
    await store.cancel(lease.run_id, by="mia", reason="")
    (undoing,) = await claimed(store)
    undo = NewEntry(EntryKind.SUCCEEDED, "undo#0/undraft#1", "undo", detail="undoes:helper#1/draft#1")
    await store.append(undoing, undo)
    await store.finish(undoing, Undone())

    assert [key for _, key, _ in await of(store, (await fork(store, lease.run_id)).id)] == ["fetch#1"]
    with pytest.raises(ForkRefused, match=r"has undone helper#1/draft#1; fork it from there or from before"):
        await fork(store, lease.run_id, from_key="charge#1")


async def test_a_fork_has_as_much_time_as_the_original_had(store: Store, clock: FakeClock) -> None:
    lease = await a_journal(store, max_duration=timedelta(hours=2))
    clock.advance("90m")

    made = await fork(store, lease.run_id)

    assert made.deadline_at == store.now() + timedelta(hours=2)


async def test_a_fork_may_be_of_another_version(store: Store) -> None:
    lease = await a_journal(store)

    assert (await fork(store, lease.run_id, version="2")).version == "2"


async def test_a_fork_of_a_fork_has_what_both_had(store: Store) -> None:
    lease = await a_journal(store)
    first = await fork(store, lease.run_id, patch={"fetch#1": "2"})

    second = await fork(store, first.id, from_key="charge#1")

    assert second.forked_from == first.id
    assert ("succeeded", "fetch#1", "2") in await of(store, second.id)


async def test_of_a_run_that_has_recorded_nothing_a_fork_is_the_same_run_anew(store: Store) -> None:
    made = await store.trigger(a_trigger())

    copy = await fork(store, made.id)

    assert (copy.epoch, copy.input) == (0, made.input)
    assert {lease.run_id for lease in await claimed(store, limit=2)} == {made.id, copy.id}


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"from_key": "chargee#1"}, KeyNotRecorded, "the nearest are charge#1"),
        ({"patch": {"fetsch#1": "2"}}, KeyNotRecorded, "the nearest are fetch#1"),
        ({"from_key": "helper#1", "patch": {"charge#1": "2"}}, ForkRefused, "charge#1 has no result before helper#1"),
        ({"patch": {"helper#1/draft#1": '"c"'}}, ForkRefused, "helper#1 has its result: patch that"),
        ({"patch": {"later#1": "2"}}, ForkRefused, "later#1 has no result that could be patched"),
    ],
)
async def test_a_fork_that_cannot_be_is_refused_and_no_run_is_made(
    store: Store, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    lease = await a_journal(store)
    await store.append(lease, an_entry("later#1", EntryKind.FAILED, error="{}"))
    before = (await store.counts()).runs

    with pytest.raises(error, match=said):
        await fork(store, lease.run_id, **given)

    assert (await store.counts()).runs == before


async def test_there_is_no_fork_of_a_run_that_is_not_there(store: Store) -> None:
    with pytest.raises(RunNotFound):
        await fork(store, "run_none")
