"""A decision, another decision, a deadline and a cancel race for each of 1,000 approvals: one of them wins."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from agentflow.errors import AlreadyDecided, ApprovalExpired, ApprovalWithdrawn, Conflict, IllegalTransition
from agentflow.states import ApprovalStatus, EntryKind, RunStatus, Verdict
from tests.support.stores import Database, a_decision, a_gate, a_trigger, approvals_of, claimed

if TYPE_CHECKING:
    from agentflow.records import Decision
    from agentflow.store import Store

APPROVALS = 1_000
TOGETHER = 100
"""Approvals raced at a time."""
TICKS = 12
"""Looks at the database over which the contenders for an approval arrive, so that commits come between them."""
HEAD_STARTS = 6
"""So many times in each of those hundreds each contender comes long before the others: whichever writer is slow."""


@dataclass
class Race:
    """What each contender for one approval was told."""

    approval_id: str
    run_id: str
    decided: list[Decision] = field(default_factory=list)
    refused: list[Conflict] = field(default_factory=list)
    cancelled: bool | None = None


async def in_a_while(chance: random.Random, store: Store, verb: Any) -> Any:
    """Do it some looks from now; losing is a value."""
    for _ in range(chance.randrange(TICKS)):
        await store.head()
    try:
        return await verb()
    except (Conflict, IllegalTransition) as refused:
        return refused


async def decide(race: Race, store: Store, verdict: Verdict, by: str, chance: random.Random) -> None:
    told = await in_a_while(chance, store, lambda: store.decide(a_decision(race.approval_id, verdict, decided_by=by)))
    (race.refused if isinstance(told, Conflict) else race.decided).append(told)


async def cancel(race: Race, store: Store, chance: random.Random) -> None:
    told = await in_a_while(chance, store, lambda: store.cancel(race.run_id, by="ann", reason=""))
    race.cancelled = not isinstance(told, IllegalTransition)


async def pass_the_deadline(database: Database, store: Store, chance: random.Random) -> None:
    """Somewhere in the middle of the others."""
    await in_a_while(chance, store, _nothing)
    database.clock.advance("30m")
    await store.expire(limit=TOGETHER // 2)


async def _nothing() -> None:
    return None


async def start(store: Store) -> list[Race]:
    """Runs parked on an approval, each with a deadline; the first of them have the earlier one."""
    await store.trigger_many([a_trigger() for _ in range(TOGETHER)])
    leases = await claimed(store, limit=TOGETHER)
    gates = [a_gate(store, timeout=timedelta(hours=0.5 if n < HEAD_STARTS else 1)) for n in range(len(leases))]
    await asyncio.gather(*(store.park(lease, [gate], [gate.key]) for lease, gate in zip(leases, gates, strict=True)))
    return [Race(str(gate.subject), lease.run_id) for lease, gate in zip(leases, gates, strict=True)]


async def run_races(database: Database, store: Store, other: Store, chance: random.Random) -> list[Race]:
    races = await start(store)
    database.clock.advance("30m")
    await store.expire(limit=TOGETHER)
    contenders = [pass_the_deadline(database, store, chance)]
    for n, race in enumerate(races):
        against = [
            decide(race, store, Verdict.APPROVE, "mia", chance),
            decide(race, other, Verdict.REJECT, "tom", chance),
            cancel(race, other, chance),
        ]
        if HEAD_STARTS <= n < 4 * HEAD_STARTS:
            await against.pop(n % 3)
        contenders += against
    chance.shuffle(contenders)
    await asyncio.gather(*contenders)
    await store.expire(limit=TOGETHER)
    return races


async def check(store: Store, race: Race) -> str:
    """One resolution, and every loser was told which; the name of the winner."""
    (approval,) = await approvals_of(store, race.run_id)
    run = await store.run(race.run_id)
    kinds = Counter(entry.kind for entry in await store.entries(race.run_id))
    assert race.cancelled
    assert run.status is RunStatus.CANCELLED
    assert kinds[EntryKind.RUN_CANCELLED] == 1
    assert kinds[EntryKind.WAIT_RESOLVED] == (approval.status is not ApprovalStatus.CANCELLED)
    assert len(race.decided) + len(race.refused) == 2
    if approval.status in {ApprovalStatus.APPROVED, ApprovalStatus.REJECTED}:
        (receipt,), (refusal,) = race.decided, race.refused
        assert (receipt.id, receipt.outcome) == (approval.decision_id, approval.status)
        assert isinstance(refusal, AlreadyDecided)
        assert (refusal.decided_by, refusal.outcome) == (approval.decided_by, approval.status)
        return receipt.decided_by
    assert race.decided == []
    expected = ApprovalExpired if approval.status is ApprovalStatus.TIMED_OUT else ApprovalWithdrawn
    assert all(isinstance(refusal, expected) for refusal in race.refused)
    return str(approval.decided_by or approval.status)


async def test_a_thousand_races_have_a_thousand_winners(database: Database) -> None:
    store, other = await database.open(), await database.open()
    chance = random.Random(20260105)
    winners: Counter[str] = Counter()
    for _ in range(APPROVALS // TOGETHER):
        store, other = other, store  # whose writer is the quicker one shall not decide who wins
        for race in await run_races(database, store, other, chance):
            winners[await check(store, race)] += 1

    assert winners.total() == APPROVALS
    # Each contender wins a fair share, or this would be no race.
    assert {name: count > APPROVALS / 20 for name, count in winners.items()} == dict.fromkeys(
        ("mia", "tom", "timeout", "cancelled"), True
    )


async def test_one_decision_id_sent_from_everywhere_at_once_is_one_decision(database: Database) -> None:
    stores = [await database.open() for _ in range(3)]
    (race, *_) = await start(stores[0])

    told = await asyncio.gather(*(stores[n % 3].decide(a_decision(race.approval_id)) for n in range(30)))

    assert len({(one.id, one.decided_at, one.outcome) for one in told}) == 1
    assert sorted(one.repeated for one in told) == [False] + [True] * 29
    assert (await stores[0].approval(race.approval_id)).version == 2
