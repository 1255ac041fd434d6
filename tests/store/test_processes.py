"""Several processes on one file: all of them write, each notices what the others did, and no answer is given twice."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

from agentflow.requests import ApprovalFilter
from agentflow.states import EntryKind
from agentflow.store.sqlite.store import SqliteStore
from tests.store.programs import programs
from tests.support.stores import a_gated_run, a_trigger, kinds_of, until

BEGIN = """
import asyncio, json, random, sys
from agentflow.errors import AlreadyDecided
from agentflow.requests import Decide, TriggerRun
from agentflow.states import Verdict
from agentflow.store import open_store
async def main():
    store = await open_store(f"sqlite:///{sys.argv[1]}")
    name, rest = sys.argv[2], sys.argv[3:]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
"""
END = """
    await store.close()
asyncio.run(main())
"""
TRIGGER = f"""{BEGIN}
    count = int(rest[0])
    made = []
    async def some(own):
        for n in range(own, count, 4):
            shared = n % 10 == 0
            key = f"shared-{{n}}" if shared else f"{{name}}-{{n}}"
            made.append((await store.trigger(TriggerRun(task="t", version="1", input="1", idempotency_key=key))).id)
    await asyncio.gather(*(some(own) for own in range(4)))
    print(json.dumps(made))
{END}"""
DECIDE = f"""{BEGIN}
    won, lost = [], {{}}
    random.Random(name).shuffle(rest)
    for id in rest:
        verdict = Verdict.APPROVE if name == "mia" else Verdict.REJECT
        request = Decide(id=f"{{name}}-{{id}}", approval_id=id, verdict=verdict, decided_by=name, channel="api")
        try:
            await store.decide(request)
            won.append(id)
        except AlreadyDecided as error:
            lost[id] = error.decided_by
    print(json.dumps([won, lost]))
{END}"""


async def run_together(code: str, *args_of_each: tuple[object, ...]) -> list[object]:
    """What each program prints at its end, after all of them have begun at once."""
    with programs(code, *args_of_each) as started:
        for program in started:
            assert await program.line() == "ready"
        for program in started:
            program.go_on()
        return [json.loads(await program.output()) for program in started]


async def test_eight_processes_write_at_once_without_an_error(store: SqliteStore) -> None:
    each, names = 120, "abcdefgh"
    said = await run_together(TRIGGER, *((store.path, name, each) for name in names))

    made = [set(runs) for runs in said]  # type: ignore[call-overload]
    assert [len(runs) for runs in made] == [each] * len(names)
    shared = set.intersection(*made)
    assert len(shared) == each // 10
    counts = await store.counts()
    assert sum(counts.runs.values()) == len(names) * (each - each // 10) + each // 10
    assert [entry.seq for entry in await store.feed(after=0, limit=2000)] == [1] * sum(counts.runs.values())


async def test_processes_that_decide_the_same_approvals_agree_on_who_did(store: SqliteStore) -> None:
    approvals = [(await a_gated_run(store)).id for _ in range(60)]
    names = ["mia", "tom", "ann"]
    said = await run_together(DECIDE, *((store.path, name, *approvals) for name in names))

    won_by = {one: name for name, (won, _) in zip(names, said, strict=True) for one in won}  # type: ignore[misc]
    assert Counter(one for won, _ in said for one in won) == dict.fromkeys(approvals, 1)  # type: ignore[misc]
    for name, (_, lost) in zip(names, said, strict=True):  # type: ignore[misc]
        assert lost == {one: winner for one, winner in won_by.items() if winner != name}
    for approval in (await store.approvals(ApprovalFilter(pending=False, limit=100))).items:
        assert (approval.decided_by, approval.version) == (won_by[approval.id], 2)
        assert (await kinds_of(store, approval.run_id)).count(EntryKind.WAIT_RESOLVED) == 1


async def test_another_processes_commit_is_noticed(store: SqliteStore) -> None:
    """Nobody asks the store anything meanwhile: the hint comes by itself."""
    heard: list[str] = []
    changes = store.changes()
    await anext(changes)
    store.watch(lambda run_id, _moved: heard.append(run_id))
    waiting = asyncio.ensure_future(anext(changes))
    with programs(TRIGGER, (store.path, "a", 4)) as (other,):
        assert await other.line() == "ready"
        await until(lambda: not heard)
        other.go_on()
        await until(waiting.done)
        made = json.loads(await other.output())
    assert set(heard) == {""}
    assert {entry.run_id for entry in await store.feed(after=0, limit=10)} == set(made)
    await changes.aclose()


async def test_a_stores_own_commits_are_told_by_name_and_not_again_as_anothers(store: SqliteStore) -> None:
    heard: list[str] = []
    store.watch(lambda run_id, _moved: heard.append(run_id))
    before = store._writer.foreign_version()

    made = await store.trigger(a_trigger())

    assert heard == [made.id]
    assert store._writer.foreign_version() == before
