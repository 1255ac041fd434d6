"""A trigger makes its run once, whole, or not at all."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from agentflow.errors import IdempotencyMismatch, RunNotFound
from agentflow.requests import RunFilter
from agentflow.states import EntryKind, RunStatus
from agentflow.store import Store
from tests.support.stores import Database, a_child, a_trigger, a_turn, an_entry, claimed, completed, kinds_of


async def runs_in(store: Store) -> int:
    return sum((await store.counts()).runs.values())


async def test_a_new_run_is_queued_with_all_that_was_asked_for(store: Store) -> None:
    made = await store.trigger(
        a_trigger(
            queue="slow", priority=3, max_duration=timedelta(minutes=5), idempotency_key="order-17", origin="webhook /x"
        )
    )

    assert await store.run(made.id) == made
    assert (made.status, made.epoch, made.attempt, made.recoveries) == (RunStatus.QUEUED, 0, 1, 0)
    assert (made.queue, made.priority, made.origin, made.idempotency_key) == ("slow", 3, "webhook /x", "order-17")
    assert (made.created_at, made.started_at, made.finished_at) == (store.now(), None, None)
    assert made.deadline_at == store.now() + timedelta(minutes=5)
    assert (made.parent_id, made.root_id) == (None, made.id)
    assert await kinds_of(store, made.id) == [EntryKind.TRIGGERED]


async def test_the_same_key_gives_the_same_run(store: Store) -> None:
    first = await store.trigger(a_trigger(idempotency_key="a"))
    again = await store.trigger(a_trigger(idempotency_key="a"))

    assert again == first
    assert await runs_in(store) == 1
    assert await kinds_of(store, first.id) == [EntryKind.TRIGGERED]


async def test_the_same_key_still_gives_the_run_after_it_ended(store: Store) -> None:
    first = await store.trigger(a_trigger(idempotency_key="a"))
    await completed(store, first.id, "review")

    again = await store.trigger(a_trigger(idempotency_key="a"))

    assert (again.id, again.status) == (first.id, RunStatus.COMPLETED)


async def test_the_same_key_with_other_input_is_refused_and_makes_nothing(store: Store) -> None:
    first = await store.trigger(a_trigger(idempotency_key="a"))

    with pytest.raises(IdempotencyMismatch, match=first.id):
        await store.trigger(a_trigger(idempotency_key="a", input='{"n":2}'))

    assert await runs_in(store) == 1
    assert await store.run(first.id) == first


async def test_a_key_belongs_to_its_task(store: Store) -> None:
    one = await store.trigger(a_trigger("review", idempotency_key="a"))
    other = await store.trigger(a_trigger("archive", idempotency_key="a"))

    assert one.id != other.id


async def test_without_a_key_every_trigger_makes_a_run(store: Store) -> None:
    made = await asyncio.gather(*(store.trigger(a_trigger()) for _ in range(20)))

    assert len({run.id for run in made}) == 20


async def test_concurrent_triggers_with_one_key_make_one_run(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]

    made = await asyncio.gather(*(stores[n % 3].trigger(a_trigger(idempotency_key="a")) for n in range(30)))

    assert len({run.id for run in made}) == 1
    assert await runs_in(stores[0]) == 1


async def test_many_runs_are_made_in_their_order(store: Store) -> None:
    made = await store.trigger_many([a_trigger(input=f'{{"n":{n}}}') for n in range(50)])

    assert [run.input for run in made] == [f'{{"n":{n}}}' for n in range(50)]
    assert await runs_in(store) == 50


async def test_of_many_runs_all_are_made_or_none(store: Store) -> None:
    first = await store.trigger(a_trigger(idempotency_key="b"))
    head = await store.head()
    refused = [a_trigger(), a_trigger(idempotency_key="c"), a_trigger(idempotency_key="b", input="{}"), a_trigger()]

    with pytest.raises(IdempotencyMismatch):
        await store.trigger_many(refused)

    assert await runs_in(store) == 1
    assert await store.head() == head
    assert await store.run(first.id) == first


async def test_a_repeated_batch_makes_each_run_once(store: Store) -> None:
    batch = [a_trigger(idempotency_key=f"k{n}") for n in range(10)]

    first = await store.trigger_many(batch)
    assert await store.trigger_many([*batch, batch[0]]) == [*first, first[0]]
    assert await runs_in(store) == 10


async def test_a_run_made_under_an_id_of_the_callers_has_it(store: Store) -> None:
    made = await store.trigger(a_trigger(id="run_of_mine"))

    assert made.id == "run_of_mine"
    assert (await store.run("run_of_mine")).root_id == "run_of_mine"


async def test_children_are_made_together_with_the_entry_that_records_them(store: Store) -> None:
    lease = await a_turn(store)

    requests = [a_trigger("child", f'{{"n":{n}}}') for n in range(3)]
    children = await store.trigger_child(lease, requests, an_entry("child#1"))

    assert [child.parent_id for child in children] == [lease.run_id] * 3
    assert [child.root_id for child in children] == [lease.run_id] * 3
    entry = (await store.entries(lease.run_id))[-1]
    assert (entry.key, entry.epoch) == ("child#1", lease.epoch)
    assert entry.output == str([child.id for child in children]).replace("'", '"')


async def test_a_refused_child_makes_neither_its_siblings_nor_the_entry(store: Store) -> None:
    lease = await a_turn(store)
    await store.trigger(a_trigger("child", idempotency_key="taken"))
    before = await store.entries(lease.run_id)

    requests = [a_trigger("child"), a_trigger("child", "{}", idempotency_key="taken")]
    with pytest.raises(IdempotencyMismatch):
        await store.trigger_child(lease, requests, an_entry("child#1"))

    assert await store.entries(lease.run_id) == before
    assert (await store.runs(RunFilter(parent_id=lease.run_id))).items == []


async def test_a_grandchild_has_the_first_run_as_its_root(store: Store) -> None:
    top = await a_turn(store)
    child = await a_child(store, top)
    (of_child,) = await claimed(store, task="child")

    grandchild = await a_child(store, of_child, task="grandchild")

    assert (grandchild.parent_id, grandchild.root_id) == (child.id, top.run_id)


async def test_an_unknown_run_is_not_found(store: Store) -> None:
    with pytest.raises(RunNotFound, match="run_none"):
        await store.run("run_none")
    with pytest.raises(RunNotFound, match="run_none"):
        await store.cancel("run_none", by="mia", reason="")
    with pytest.raises(RunNotFound, match="run_none"):
        await store.resume("run_none", by="mia")
