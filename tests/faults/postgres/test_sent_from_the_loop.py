"""Appends that the event loop sends and hears: whatever becomes of one is told as if a thread had sent it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import psycopg
import pytest

from agentflow.errors import LeaseLost, StoreUnavailable
from agentflow.requests import HandedBack
from agentflow.store import Store, open_store
from agentflow.store.postgres import sending
from agentflow.store.postgres.server import PREPARE_AFTER
from tests.support.proxy import Act, Proxy
from tests.support.stores import a_turn, an_entry

if TYPE_CHECKING:
    from agentflow.requests import Lease
    from tests.support.checker import Tables
    from tests.support.clusters import Cluster

APPENDED = "SELECT count(*) FROM agentflow_journal WHERE kind = 'succeeded'"
END_ALL_OF = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
LATER = PREPARE_AFTER + 3
"""How many appends there have been once one is prepared, and goes this way."""


@pytest.fixture
async def store(proxy: Proxy, database: str) -> AsyncIterator[Store]:
    store = await open_store(proxy.url(database))
    yield store
    await store.close()


@pytest.fixture
async def lease(store: Store) -> Lease:
    """A turn that has appended one by one for a while."""
    lease = await a_turn(store)
    for number in range(LATER):
        await store.append(lease, an_entry(f"early#{number}"))
    return lease


def inserts(proxy: Proxy) -> int:
    """How many appends the server was sent that were a transaction of their own."""
    return sum("INTO agentflow_journal" in text for text in proxy.statements)


async def test_it_is_stored_once_and_in_order(store: Store, lease: Lease, proxy: Proxy, tables: Tables) -> None:
    before = inserts(proxy)
    await store.append(lease, an_entry("late#1"))
    await asyncio.gather(*[store.append(lease, an_entry(f"late#{number}")) for number in range(2, 6)])
    assert inserts(proxy) == before + 2
    assert tables.value(APPENDED) == LATER + 5
    kept = [one.key for one in await store.entries(lease.run_id) if (one.key or "").startswith("late")]
    assert kept == [f"late#{number}" for number in range(1, 6)]


async def test_a_turn_that_is_over_is_told_so(store: Store, lease: Lease, tables: Tables) -> None:
    await store.finish(lease, HandedBack())
    with pytest.raises(LeaseLost):
        await store.append(lease, an_entry("late#1"))
    assert tables.value(APPENDED) == LATER


@pytest.mark.parametrize("act", [Act.SWALLOW, Act.DISOWN])
async def test_one_that_was_stored_and_nobody_heard_of_is_in_doubt(
    act: Act, store: Store, lease: Lease, proxy: Proxy, tables: Tables
) -> None:
    rule = proxy.strike(lambda one: one.commits, act, "08P01")
    with pytest.raises(StoreUnavailable, match="not known") as told:
        await store.append(lease, an_entry("late#1"))
    assert told.value.may_be_stored
    assert len(rule.struck) == 1
    assert tables.value(APPENDED) == LATER + 1
    await store.append(lease, an_entry("late#2"))
    assert tables.value(APPENDED) == LATER + 2


async def test_one_that_does_not_arrive_is_in_doubt_too(
    store: Store, lease: Lease, proxy: Proxy, tables: Tables
) -> None:
    proxy.strike(lambda one: one.commits, Act.RESET)
    with pytest.raises(StoreUnavailable) as told:
        await store.append(lease, an_entry("late#1"))
    assert told.value.may_be_stored
    assert tables.value(APPENDED) == LATER
    await store.append(lease, an_entry("late#2"))
    assert tables.value(APPENDED) == LATER + 1


async def test_one_that_is_refused_for_the_sake_of_order_is_tried_again(
    store: Store, lease: Lease, proxy: Proxy, tables: Tables
) -> None:
    rule = proxy.strike(lambda one: one.commits, Act.FAIL, "40001")
    await store.append(lease, an_entry("late#1"))
    assert len(rule.struck) == 1
    assert tables.value(APPENDED) == LATER + 1


async def test_a_connection_that_ended_meanwhile_is_made_anew_first(
    store: Store, lease: Lease, server: Cluster, database: str, tables: Tables
) -> None:
    with psycopg.connect(server.url(), autocommit=True) as operator:
        operator.execute(END_ALL_OF, (database,))
    await store.append(lease, an_entry("late#1"))
    assert tables.value(APPENDED) == LATER + 1


async def test_a_server_that_says_nothing_does_not_keep_it_waiting_for_ever(
    store: Store, lease: Lease, proxy: Proxy, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "ANYTHING", 0.5)
    proxy.strike(lambda one: one.commits, Act.HUSH)
    with pytest.raises(StoreUnavailable) as told:
        await store.append(lease, an_entry("late#1"))
    assert told.value.may_be_stored
    await store.append(lease, an_entry("late#2"))
    assert tables.value(APPENDED) == LATER + 1


async def test_what_one_socket_does_not_take_at_once_is_sent_to_its_end(
    store: Store, lease: Lease, tables: Tables
) -> None:
    """As many as go this way together, each as large as a row may be."""
    large = '"' + "x" * 120_000 + '"'
    for round_ in range(LATER):
        some = [store.append(lease, an_entry(f"large#{round_}-{number}", output=large)) for number in range(64)]
        await asyncio.gather(*some)
    assert tables.value(APPENDED) == LATER + 64 * LATER
