"""`kill -9` before, inside and after the transaction of every verb: all of it has happened then, or none of it."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.clock import to_micros
from tests.crash.acts import AT, perform
from tests.crash.scenes import ON_BOTH

if TYPE_CHECKING:
    from tests.crash.scenes import Scene

pytestmark = ON_BOTH

Act = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A verb: what was done `before`, the `act` that is killed in it, and what makes everything end.

    Each of `together` is a count that is 0 without the verb and 1 with it. `cut_off` kills the act of `before` that
    waits for an end; `anew` says that nothing of `together` is so beforehand.
    """

    act: Act
    together: tuple[str, ...]
    before: tuple[Act, ...] = ()
    cut_off: str = ""
    then: tuple[Act, ...] = (("see_all_end",),)
    results: dict[str, Any] = field(default_factory=lambda: {"the run": 4})
    anew: bool = True


def entry(kind: str, *, task: str = "%") -> str:
    """Whether some run of the task has an entry of this kind."""
    return (
        "SELECT count(*) > 0 FROM agentflow_journal j JOIN agentflow_run r ON r.id = j.run_id "
        f"WHERE j.kind = '{kind}' AND r.task LIKE '{task}'"
    )


def status(status: str, *, task: str = "%") -> str:
    return f"SELECT count(*) FROM agentflow_run WHERE status = '{status}' AND task LIKE '{task}'"


def count(table: str, where: str = "TRUE") -> str:
    return f"SELECT count(*) FROM agentflow_{table} WHERE {where}"


def none(table: str) -> str:
    return f"SELECT count(*) = 0 FROM agentflow_{table}"


SHORT = ("see_it_end", "short", 3)
ASKS = ("see_it_park", "asks", 3)
DECIDED = (("decide",), ("see_all_end",))
APPROVED = {"the run": {"outcome": "approved", "total": 4}}
CUT_OFF: dict[str, Any] = {"before": (SHORT,), "cut_off": "append.inside=kill"}

CASES = {
    "trigger": Case(
        act=("trigger_one", "short", 3),
        together=(status("queued"), entry("triggered")),
        then=(("trigger_one", "short", 3), ("see_all_end",)),
    ),
    "trigger_many": Case(
        act=("trigger_three",),
        together=("SELECT count(*) = 3 FROM agentflow_run", "SELECT count(*) = 3 FROM agentflow_journal"),
        results={},
    ),
    "register_worker": Case(act=("open_and_close",), together=(count("worker"),), results={}),
    "drain_worker": Case(
        act=("open_and_close",),
        # A worker without runs gives its lease back at once, perhaps in the same transaction.
        together=("SELECT count(*) = 0 FROM agentflow_worker WHERE draining_at IS NULL",),
        results={},
        anew=False,
    ),
    "retire_worker": Case(act=("open_and_close",), together=(none("worker"),), results={}, anew=False),
    "claim": Case(
        before=(("trigger_one", "short", 3),),
        act=SHORT,
        together=(count("run", "status = 'running' AND epoch = 1 AND worker_id IS NOT NULL"),),
    ),
    "append": Case(act=SHORT, then=(SHORT,), together=(entry("succeeded"),)),
    "keep_logs": Case(act=SHORT, then=(SHORT,), together=(count("log"),)),
    "finish": Case(act=SHORT, then=(SHORT,), together=(status("completed"), entry("run_completed"))),
    "trigger_child": Case(
        act=("see_it_end", "parent", 3),
        together=(count("run", "task = 'short'"), entry("triggered", task="short"), entry("succeeded", task="parent")),
        results={"the run": 104},
    ),
    "finish of a child": Case(
        act=("see_it_end", "parent", 3),
        together=(status("completed", task="short"), entry("wait_resolved", task="parent")),
        results={"the run": 104},
    ),
    "park": Case(
        act=ASKS,
        together=(
            count("run", "status = 'waiting' AND worker_id IS NULL"),
            entry("parked"),
            entry("wait_opened"),
            count("approval", "status = 'pending'"),
        ),
        then=(ASKS, *DECIDED),
        results=APPROVED,
    ),
    "open_waits": Case(
        act=("see_it_park", "asks_beside", 3),
        together=(entry("wait_opened"), count("approval", "status = 'pending'")),
        then=(("see_it_park", "asks_beside", 3), *DECIDED),
        results={"the run": [APPROVED["the run"], 3 + sum(n * n for n in range(20))]},
    ),
    "decide": Case(
        before=(ASKS,),
        act=("decide",),
        together=(
            count("decision"),
            count("approval", "status = 'approved' AND decision_id = 'dec-1'"),
            entry("wait_resolved"),
            status("queued"),
        ),
        then=DECIDED,
        results=APPROVED,
    ),
    "expire": Case(
        before=(ASKS,),
        act=("expire_later",),
        together=(count("approval", "status = 'timed_out'"), entry("wait_resolved"), status("queued")),
        then=(("expire_later",), ("see_it_end_later", "asks", 3)),
        results={"the run": {"outcome": "timed_out", "total": None}},
    ),
    "settle": Case(
        before=(("see_it_park", "naps", 3),),
        act=("see_it_end_later", "naps", 3),
        together=(entry("succeeded"), none("wait")),
        then=(("see_it_end_later", "naps", 3),),
    ),
    "cancel": Case(
        before=(ASKS,),
        act=("cancel",),
        together=(status("cancelled"), entry("run_cancelled"), count("approval", "status = 'cancelled'")),
        then=(("cancel",),),
        results={},
    ),
    "bury": Case(**CUT_OFF, act=("look_after_leases",), together=(none("worker"),)),
    "sweep": Case(
        **CUT_OFF,
        act=("look_after_leases",),
        together=(count("run", "status = 'queued' AND recoveries = 1 AND worker_id IS NULL"), entry("recovered")),
    ),
    "resume": Case(
        before=(("trigger_one", "pays", 3), ("see_it_end", "pays", 3), ("see_it_need_attention", "pays", 3)),
        cut_off="append.before=kill@2",
        act=("resume",),
        together=(status("queued"), entry("resumed")),
        then=(("resume",), ("see_it_end", "pays", 3)),
        results={"the run": 3},
    ),
    "declare_schedules": Case(
        act=("declare",), together=(count("schedule"), count("schedule_change")), then=(("declare",),), results={}
    ),
    "upsert_schedule": Case(
        act=("upsert",), together=(count("schedule"), count("schedule_change")), then=(("upsert",),), results={}
    ),
    "plan_schedule": Case(
        before=(("declare",),),
        act=("plan",),
        together=(count("schedule", "plan_from IS NULL AND next_fire_at IS NOT NULL"),),
        then=(("plan",), ("fire",), ("see_all_end",)),
        results={},
    ),
    "miss": Case(
        before=(("declare",), ("plan",)),
        act=("miss",),
        together=(
            count("occurrence", "outcome = 'missed' AND count = 3"),
            count("schedule", f"next_fire_at > {to_micros(AT)}"),
        ),
        then=(("miss",), ("miss",)),
        results={},
    ),
    "fire_by_hand": Case(
        before=(("declare",),),
        act=("fire_by_hand",),
        together=(count("occurrence"), status("queued"), entry("triggered")),
        then=(("fire_by_hand",), ("see_all_end",)),
        results={},
    ),
    "remove_schedule": Case(
        before=(("upsert",), ("backfill",)),
        act=("remove",),
        together=(none("schedule"), count("backfill", "cancelled_by IS NOT NULL")),
        then=(("remove",),),
        results={},
    ),
    "advance_backfill": Case(
        before=(("declare",), ("backfill",)),
        act=("fill_in",),
        together=(
            count("occurrence", "kind = 'backfill'"),
            count("backfill", "started = 1 AND finished_at IS NOT NULL"),
            status("queued"),
        ),
        then=(("fill_in",), ("see_all_end",)),
        results={},
    ),
    "fire": Case(
        before=(("declare",), ("plan",)),
        act=("fire",),
        together=(
            count("occurrence"),
            status("queued"),
            entry("triggered"),
            count("schedule", "next_fire_at > last_fire_at"),
        ),
        then=(("fire",), ("see_all_end",)),
        results={},
    ),
    "receive_delivery": Case(
        act=("deliver",),
        together=(count("delivery"), status("queued"), entry("triggered")),
        then=(("deliver",), ("see_all_end",)),
        results={},
    ),
    "receive_delivery that was refused": Case(
        before=(("refuse",),),
        act=("deliver",),
        together=(count("delivery", "outcome = 'started'"), status("queued"), entry("triggered")),
        then=(("deliver",), ("see_all_end",)),
        results={},
    ),
}


def play(scene: Scene, act: Act, kill: str = "") -> int:
    with scene.start(perform, *act, kill=kill) as child:
        return child.ended()


@pytest.mark.parametrize("place", ["before", "inside", "after"])
@pytest.mark.parametrize("name", CASES)
def test_killed_in_a_verb_all_of_it_has_happened_or_none(name: str, place: str, scene: Scene) -> None:
    case = CASES[name]
    for act in case.before:
        kill = case.cut_off if act[0] == "see_it_end" else ""
        assert play(scene, act, kill) == (-signal.SIGKILL if kill else 0)
    verb = name.partition(" ")[0]
    if case.anew:
        assert [scene.database.value(one) for one in case.together] == [0] * len(case.together)
    assert play(scene, case.act, f"{verb}.{place}=kill") == -signal.SIGKILL
    happened = [scene.database.value(one) for one in case.together]
    assert happened == [int(place == "after")] * len(happened)
    scene.check(recovered=False)
    for act in case.then:
        assert play(scene, act) == 0
    seen = scene.check(results=case.results)
    assert seen["runs"] or not case.results
    assert all(
        run["status"] in {"completed", "cancelled"} for run in scene.database.rows("SELECT * FROM agentflow_run")
    )


def test_a_decision_is_made_once_however_often_its_sender_is_killed(scene: Scene) -> None:
    assert play(scene, ASKS) == 0
    for place in ("before", "inside", "after"):
        assert play(scene, ("decide",), f"decide.{place}=kill") == -signal.SIGKILL
    assert play(scene, ("decide",)) == 0
    assert play(scene, ("see_all_end",)) == 0
    seen = scene.check(results=APPROVED)
    assert (seen["approvals"], scene.database.value(count("decision"))) == (1, 1)
