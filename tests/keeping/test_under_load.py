"""Pruning while others write the same large payloads and end runs: nothing that is needed goes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.requests import Completed, Kept, Prune, RunFilter
from agentflow.store.blobs import KEEP
from agentflow.store.keeping.checking import check
from agentflow.store.keeping.places import place_of
from agentflow.store.postgres.server import connect
from tests.support.stores import a_turn, database_of

if TYPE_CHECKING:
    from agentflow.store import Store
    from tests.support.stores import Database

TEXTS = [json.dumps(letter * 200_000) for letter in "ab"]
ROUNDS, REMOVED = 30, 15


async def work(store: Store, task: str, enough: asyncio.Event) -> None:
    """Runs that share two payloads, so that one's end is often another's beginning, until enough have gone again."""
    number = 0
    while number < ROUNDS or not enough.is_set():
        text = TEXTS[number % 2]
        lease = await a_turn(store, task=task, input=text)
        await store.finish(lease, Completed(text))
        number += 1


async def prune(store: Store, working: list[asyncio.Task[None]], enough: asyncio.Event) -> None:
    removed = 0
    while not all(one.done() for one in working):
        found = await store.prune(Prune(kind=Kept.RUNS, before=store.now(), tasks=("load0", "load1"), limit=20))
        removed += found.removed
        if removed > REMOVED:
            enough.set()


async def test_what_is_written_while_others_prune_is_whole(database: Database) -> None:
    clock = database.clock
    stores = [await database.open() for _ in range(4)]
    enough = asyncio.Event()
    working = [asyncio.create_task(work(store, f"load{number}", enough)) for number, store in enumerate(stores[:2])]

    async def tick() -> None:
        while not all(one.done() for one in working):
            await clock.advance(0.001)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(prune(one, working, enough) for one in stores[2:]), tick(), *working)
    left = (await stores[0].runs(RunFilter(limit=200))).items
    for one in left:
        assert (await stores[0].run(one.id)).id == one.id  # reads its payloads, which raises where one is missing
    with place_of(database.url) as place:
        assert list(check(place, lambda _: None)) == []


async def test_a_payload_that_is_being_written_again_is_not_removed(tmp_path: Path) -> None:
    """Whoever writes it found it there, and has not committed yet when its last row is pruned."""
    content = TEXTS[0].encode()
    name = hashlib.sha256(content).hexdigest()
    async with database_of("postgres", tmp_path) as database:
        store = await database.open()
        lease = await a_turn(store, input=TEXTS[0])
        await store.finish(lease, Completed("1"))
        await database.clock.advance(1)
        kept = {"digest": name, "content": TEXTS[0], "size": len(content), "created_at": 1}
        event = f"'evt', 'n', 'k', 1, 'blob:{name}:{len(content)}', 'd', 'mia', 1, NULL"
        with connect(database.url) as writer, writer.transaction():
            writer.execute(KEEP.postgres.encode(), kept)
            writer.execute(f"INSERT INTO agentflow_event VALUES ({event})".encode())
            pruning = asyncio.create_task(store.prune(Prune(kind=Kept.RUNS, before=store.now())))
            await asyncio.wait({pruning}, timeout=0.5)  # long enough to remove it, if it would
        assert (await pruning).removed == 1
        assert [one.payload for one in await store.events()] == TEXTS[:1]
