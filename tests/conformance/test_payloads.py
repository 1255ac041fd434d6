"""Large payloads come out of the store as they went in, wherever they are kept, and are kept once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import IdempotencyMismatch, LeaseLost, UndecodablePayload
from agentflow.payloads import decode, digest, is_stand_in, readable
from agentflow.requests import ApprovalFilter, ClaimRuns, Completed, Failed, RunFilter, TryAgain
from agentflow.states import EntryKind, Verdict
from agentflow.store import Store
from agentflow.store.blobs import INLINE, MARK
from agentflow.testing import FakeClock
from tests.support.stores import (
    Database,
    a_child,
    a_decision,
    a_gated_run,
    a_trigger,
    a_turn,
    a_wait_for,
    a_worker,
    an_entry,
    completed,
)

if TYPE_CHECKING:
    from agentflow.records import Entry

NO_BLOB_OF_OURS = f"{MARK}{'0' * 64}:12"
TEXTS = {
    "one byte below": "x" * (INLINE - 3),
    "at the limit": "x" * (INLINE - 2),
    "one byte above": "x" * (INLINE - 1),
    "a megabyte": "y" * 1_000_000,
    "few characters, many bytes": "€" * (INLINE // 3),
    "astral characters": "\U0001f600" * (INLINE // 4),
    "like the name of a blob": NO_BLOB_OF_OURS,
}


def a_large(word: str = "x", size: int = 1_000_000) -> str:
    return json.dumps(word * (size // len(word)))


async def entry_of(store: Store, run_id: str, key: str) -> Entry:
    (found,) = [one for one in await store.entries(run_id) if one.key == key]
    return found


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_a_text_comes_back_as_it_was_recorded(store: Store, text: str) -> None:
    payload = json.dumps(text, ensure_ascii=False)
    lease = await a_turn(store, input=payload)
    for name in ("input", "output", "error", "detail"):
        await store.append(lease, an_entry(f"{name}#1", **{name: payload}))
    await store.append(lease, an_entry("plain#1", detail=text))

    for name in ("input", "output", "error", "detail"):
        assert getattr(await entry_of(store, lease.run_id, f"{name}#1"), name) == payload
    assert (await entry_of(store, lease.run_id, "plain#1")).detail == text
    assert (await store.run(lease.run_id)).input == payload


async def test_a_claim_brings_the_input_and_the_journal_whole(store: Store) -> None:
    lease = await a_turn(store, input=a_large("in"))
    for n in range(5):
        await store.append(lease, an_entry(f"fetch#{n}", output=a_large(str(n))))
    await store.finish(lease, TryAgain(a_large("why"), timedelta(0), None))

    (again,) = await store.claim(ClaimRuns(worker_id=await a_worker(store), tasks=("review",), limit=9))

    assert again.run.input == a_large("in")
    assert [one.output for one in again.entries if one.key] == [a_large(str(n)) for n in range(5)]
    assert again.entries[-1].error == a_large("why")


async def test_a_result_and_an_error_are_whole_on_the_run_and_at_its_parent(store: Store) -> None:
    parent = await a_turn(store)
    child = await a_child(store, parent)
    await store.park(parent, [a_wait_for(child)], ["review#1"])
    await completed(store, child.id, "child", a_large("out"))
    failed = await a_turn(store)
    await store.finish(failed, Failed(a_large("error")))

    assert (await store.run(child.id)).output == a_large("out")
    assert (await store.entries(parent.run_id))[-1].output == a_large("out")
    assert (await store.run(failed.run_id)).error == a_large("error")


async def test_what_is_approved_and_corrected_is_whole(store: Store) -> None:
    data, final = json.dumps({"text": "a" * 500_000}), json.dumps({"text": "b" * 500_000})
    texts = {"schema": json.dumps({"title": "s" * INLINE}), "body": NO_BLOB_OF_OURS, "evidence": a_large("e")}
    asked = await a_gated_run(store, data=data, digest=digest(data), **texts)

    assert asked.data == data
    assert {name: getattr(asked, name) for name in texts} == texts
    decided = await store.decide(a_decision(asked.id, Verdict.CORRECT, final=final))
    assert decided.final == final
    assert await store.decide(a_decision(asked.id, Verdict.CORRECT, final=final)) == repeated(decided)
    (listed,) = (await store.approvals(ApprovalFilter(pending=False))).items
    assert (listed.data, listed.final) == (data, final)
    assert "b" * 500_000 in (listed.patch or "")
    assert (await store.entries(asked.run_id))[-1].output == final


async def test_a_listing_says_how_large_a_value_is_and_does_not_bring_it(store: Store) -> None:
    lease = await a_turn(store, input=a_large("in"))
    await store.append(lease, an_entry(output=a_large("mid")))
    await store.finish(lease, Completed(a_large("out")))

    (listed,) = (await store.runs(RunFilter())).items
    fed = await store.feed(after=0, limit=100)

    large = [listed.input, str(listed.output), *(one.output for one in fed if one.output)]
    assert len(large) == 4
    for text in large:
        assert is_stand_in(text)
        assert len(text) < 200
    assert readable(listed.input) == {"$large": {"bytes": len(a_large("in")), "digest": digest(a_large("in"))}}
    with pytest.raises(UndecodablePayload, match=r"1,000,002 bytes: read the run by its id"):
        decode(listed.input, str)


async def test_a_failure_in_a_listing_is_whole(store: Store) -> None:
    """It is read as a failure there."""
    lease = await a_turn(store)
    await store.finish(lease, Failed(a_large("error")))

    (listed,) = (await store.runs(RunFilter())).items

    assert listed.error == a_large("error")


async def test_the_same_key_with_the_same_large_input_makes_one_run(store: Store) -> None:
    first = await store.trigger(a_trigger(input=a_large(), idempotency_key="k"))

    assert (await store.trigger(a_trigger(input=a_large(), idempotency_key="k"))).id == first.id
    with pytest.raises(IdempotencyMismatch):
        await store.trigger(a_trigger(input=a_large("y"), idempotency_key="k"))


async def test_another_process_reads_what_this_one_recorded(database: Database, store: Store) -> None:
    lease = await a_turn(store)
    await store.append(lease, an_entry(output=a_large()))
    other = await database.open()

    assert (await entry_of(other, lease.run_id, "fetch#1")).output == a_large()


async def test_a_superseded_turn_keeps_no_large_result(store: Store, clock: FakeClock) -> None:
    lease = await a_turn(store)
    await store.cancel(lease.run_id, by="mia", reason="")
    with pytest.raises(LeaseLost):
        await store.append(lease, an_entry(output=a_large()))

    assert [one.kind for one in await store.entries(lease.run_id)] == [EntryKind.TRIGGERED, EntryKind.RUN_CANCELLED]


async def test_two_turns_that_share_a_transaction_lose_only_what_is_lost(store: Store) -> None:
    """One is superseded, the other is not; both record the same large value at the same moment."""
    lost, held = await a_turn(store), await a_turn(store)
    await store.cancel(lost.run_id, by="mia", reason="")
    first, second = await asyncio.gather(
        store.append(lost, an_entry(output=a_large())),
        store.append(held, an_entry(output=a_large())),
        return_exceptions=True,
    )

    assert isinstance(first, LeaseLost)
    assert second is None
    assert (await entry_of(store, held.run_id, "fetch#1")).output == a_large()


def repeated(decision: Any) -> Any:
    return replace(decision, repeated=True)
