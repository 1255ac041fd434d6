"""Commits that do not arrive, are not heard of, or are refused for the sake of order: one effect, and no false word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import LeaseLost, StoreUnavailable
from agentflow.requests import Completed, HandedBack, SendEvent
from agentflow.store import Store, open_store
from tests.crash.programs import call_and_decide, mixed_result, work
from tests.support.checker import Tables
from tests.support.deliveries import a_delivery
from tests.support.processes import first_ended
from tests.support.proxy import Act, Proxy
from tests.support.schedules import due, planned
from tests.support.stores import a_decision, a_gate, a_gated_run, a_trigger, a_turn, an_entry, claimed

if TYPE_CHECKING:
    from tests.crash.scenes import ServerScene
    from tests.support.wire import Statement

RUNS = 8
Again = Callable[[], Awaitable[Any]]


@pytest.fixture
async def store(proxy: Proxy, database: str) -> AsyncIterator[Store]:
    store = await open_store(proxy.url(database))
    yield store
    await store.close()


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb that can be asked for twice: what to do before, and the table that tells its transaction from others."""

    prepare: Callable[[Store], Awaitable[Again]]
    table: str
    counts: str
    fenced: bool = False
    """Whether the second time finds that the turn is over, since the first has ended it."""


async def _trigger(store: Store) -> Again:
    return lambda: store.trigger(a_trigger(idempotency_key="k1"))


async def _decide(store: Store) -> Again:
    approval = await a_gated_run(store)
    return lambda: store.decide(a_decision(approval.id))


async def _send_event(store: Store) -> Again:
    return lambda: store.send_event(SendEvent(id="evt-1", name="paid", key="1", payload="1", sent_by="test"))


async def _deliver(store: Store) -> Again:
    run = a_trigger(idempotency_key="hook")
    return lambda: store.receive_delivery(a_delivery(run=run))


async def _fire(store: Store) -> Again:
    fire = due(await planned(store))
    return lambda: store.fire(fire)


async def _finish(store: Store) -> Again:
    lease = await a_turn(store)
    return lambda: store.finish(lease, Completed('"done"'))


async def _park(store: Store) -> Again:
    lease = await a_turn(store)
    gate = a_gate(store)
    return lambda: store.park(lease, [gate], [gate.key])


VERBS = {
    "trigger": Verb(_trigger, "agentflow_run", "SELECT count(*) FROM agentflow_run"),
    "decide": Verb(_decide, "agentflow_decision", "SELECT count(*) FROM agentflow_decision"),
    "send_event": Verb(_send_event, "agentflow_event", "SELECT count(*) FROM agentflow_event"),
    "deliver": Verb(_deliver, "agentflow_delivery", "SELECT count(*) FROM agentflow_delivery"),
    "fire": Verb(_fire, "agentflow_occurrence", "SELECT count(*) FROM agentflow_occurrence"),
    "finish": Verb(
        _finish, "agentflow_run", "SELECT count(*) FROM agentflow_journal WHERE kind = 'run_completed'", fenced=True
    ),
    "park": Verb(_park, "agentflow_approval", "SELECT count(*) FROM agentflow_approval", fenced=True),
}


def of(table: str) -> Callable[[Statement], bool]:
    """The commits of transactions that write to the table."""
    return lambda one: one.commits and any(f"{what} {table}" in one.texts for what in ("INTO", "UPDATE"))


@pytest.mark.parametrize("act", [Act.SWALLOW, Act.DISOWN])
@pytest.mark.parametrize("name", VERBS)
async def test_a_commit_nobody_heard_of_is_said_to_be_in_doubt_and_asked_for_again_is_one(
    name: str, act: Act, store: Store, proxy: Proxy, tables: Tables
) -> None:
    """F40. The caller is told that it may be stored, asks again by the same key, and finds what it did."""
    verb = VERBS[name]
    again = await verb.prepare(store)
    rule = proxy.strike(of(verb.table), act, "08P01")
    with pytest.raises(StoreUnavailable, match="not known") as told:
        await again()
    assert told.value.may_be_stored
    assert len(rule.struck) == 1
    assert tables.value(verb.counts) == 1
    if verb.fenced:
        with pytest.raises(LeaseLost):
            await again()
    else:
        await again()
    assert tables.value(verb.counts) == 1


@pytest.mark.parametrize("name", VERBS)
async def test_a_commit_that_does_not_arrive_is_in_doubt_too_and_asked_for_again_is_one(
    name: str, store: Store, proxy: Proxy, tables: Tables
) -> None:
    """F39. Whoever sends a COMMIT and hears nothing cannot know better."""
    verb = VERBS[name]
    again = await verb.prepare(store)
    rule = proxy.strike(of(verb.table), Act.RESET)
    with pytest.raises(StoreUnavailable) as told:
        await again()
    assert told.value.may_be_stored
    assert len(rule.struck) == 1
    assert tables.value(verb.counts) == 0
    await again()
    assert tables.value(verb.counts) == 1


@pytest.mark.parametrize("name", VERBS)
async def test_a_connection_that_is_lost_before_the_commit_is_made_anew_and_the_transaction_with_it(
    name: str, store: Store, proxy: Proxy, tables: Tables
) -> None:
    """F39. It is certain that nothing was stored: the caller never hears of it."""
    verb = VERBS[name]
    again = await verb.prepare(store)
    rule = proxy.strike(lambda one: one.is_in_transaction and one.writes, Act.RESET)
    await again()
    assert len(rule.struck) == 1
    assert tables.value(verb.counts) == 1


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
@pytest.mark.parametrize("name", VERBS)
async def test_a_verb_that_is_refused_for_the_sake_of_order_is_done_again_as_a_whole(
    name: str, sqlstate: str, store: Store, proxy: Proxy, tables: Tables
) -> None:
    """F44, at the first write of each verb, at its second, and at its commit."""
    verb = VERBS[name]
    again = await verb.prepare(store)
    rules = [proxy.strike(lambda one: one.writes, Act.FAIL, sqlstate, skip=skip) for skip in (0, 2)]
    rules.append(proxy.strike(lambda one: one.commits and one.is_in_transaction, Act.FAIL, sqlstate))
    await again()
    assert sum(len(rule.struck) for rule in rules) >= 2
    assert tables.value(verb.counts) == 1


async def test_an_append_that_may_be_stored_is_not_tried_again(store: Store, proxy: Proxy, tables: Tables) -> None:
    """It has no key of its own: who appends reads the journal anew before it goes on."""
    lease = await a_turn(store)
    await store.append(lease, an_entry("fetch#1"))
    proxy.strike(of("agentflow_journal"), Act.SWALLOW)
    with pytest.raises(StoreUnavailable) as told:
        await store.append(lease, an_entry("fetch#2"))
    assert told.value.may_be_stored
    keys = [entry.key for entry in await store.entries(lease.run_id) if entry.key]
    assert keys == ["fetch#1", "fetch#2"]


async def test_runs_that_were_claimed_unheard_are_not_given_to_anybody_else_until_they_are_handed_back(
    store: Store, proxy: Proxy, tables: Tables
) -> None:
    run = await store.trigger(a_trigger())
    proxy.strike(lambda one: one.commits and "agentflow_run" in one.texts, Act.SWALLOW)
    with pytest.raises(StoreUnavailable):
        await claimed(store)
    assert (await store.run(run.id)).epoch == 1
    assert await claimed(store) == []


async def test_appends_of_one_moment_are_each_held_against_their_own_turn(store: Store, tables: Tables) -> None:
    """They go to the server in one statement: a turn that lost its run writes nothing beside one that has it."""
    stale = await a_turn(store)
    await store.finish(stale, HandedBack())
    (held,) = await claimed(store)
    other = await a_turn(store)
    asked = [store.append(lease, an_entry(f"fetch#{n}")) for n, lease in enumerate((stale, held, other, stale, held))]
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(one, LeaseLost) for one in told] == [True, False, False, True, False]
    kept = tables.rows("SELECT key FROM agentflow_journal WHERE key LIKE 'fetch#%' ORDER BY key")
    assert [row["key"] for row in kept] == ["fetch#1", "fetch#2", "fetch#4"]


# -- whole runs


STORMS: dict[str, tuple[Callable[[Statement], bool], Act, str, int]] = {
    "every 9th commit is not heard of": (lambda one: one.commits, Act.SWALLOW, "", 9),
    "every 9th commit is disowned by a pooler": (lambda one: one.commits, Act.DISOWN, "08P01", 9),
    "every 9th commit does not arrive": (lambda one: one.commits, Act.RESET, "", 9),
    "every 23rd write is a deadlock": (lambda one: one.writes, Act.FAIL, "40P01", 23),
    "every 23rd write is a serialization failure": (lambda one: one.writes, Act.FAIL, "40001", 23),
}


@pytest.mark.parametrize("name", STORMS)
def test_whatever_befalls_its_commits_every_run_ends_as_if_undisturbed(
    name: str, stormy: tuple[ServerScene, ServerScene], proxy: Proxy
) -> None:
    """F39, F40 and F44 for whole runs. A caller that is told of an error asks again with the same keys."""
    through, direct = stormy
    match, act, sqlstate, every = STORMS[name]
    count = 0

    def nth(statement: Statement) -> bool:
        nonlocal count
        count += match(statement)
        return match(statement) and count % every == 0

    numbers = list(range(RUNS))
    with ExitStack() as running:
        workers = [running.enter_context(through.start(work, {"heartbeat_every": 0.2})) for _ in range(2)]
        for worker in workers:
            worker.hear()
        rule = proxy.strike(nth, act, sqlstate, times=10_000)
        while True:
            caller = running.enter_context(through.start(call_and_decide, numbers))
            assert first_ended([caller, *workers], within=200) is caller, "a worker died of it, or nothing moves on"
            if caller.ended() == 0:
                if len(rule.struck) > RUNS:
                    break
                numbers += range(len(numbers), len(numbers) + RUNS)  # what is written together is struck less often
            else:
                assert act is not Act.FAIL, "a caller heard of what is tried again for it"
    proxy.rules.clear()
    with through.start(work, {}) as last:
        last.hear()
    assert direct.check(results={f"mixed {n}": mixed_result(n) for n in numbers})["approvals"] == len(numbers)
