"""Clocks that disagree. On SQLite the processes of one host share its clock; here they do not, and nothing is spoiled.

A worker whose clock is ahead takes every other worker's lease for lapsed, and one whose clock is behind is taken for
dead as soon as it begins: runs change hands again and again. That costs work, and never a result; whoever was robbed of
a run may begin one more body before it hears of it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.crash.acts import perform
from tests.crash.programs import call_and_decide, mixed_result, work
from tests.support import ledger
from tests.support.processes import first_ended, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.scenes import Scene

RUNS = 12
SHORT_LEASE = {"lease_for": 2.0, "heartbeat_every": 0.2}
HELD = "SELECT status FROM agentflow_run WHERE idempotency_key = 'held'"


@pytest.mark.parametrize("hours", [1.0, 24.0], ids=["an hour", "a day"])
def test_workers_whose_clocks_differ_take_runs_from_each_other_and_spoil_none(
    hours: float, in_memory: Callable[[str], Scene]
) -> None:
    scene = in_memory("clocks")
    with scene.start(perform, "trigger_keyed", "holds_a_thread", {"seconds": 1.5}, "held") as child:
        assert child.ended() == 0
    with ExitStack() as running:
        right = running.enter_context(scene.start(work, SHORT_LEASE))
        until(lambda: ledger.starts(scene.ledger)["hold_a_thread#1"], "the worker whose clock is right holds a run")
        wrong = [scene.start(work, SHORT_LEASE | {"ahead": ahead}) for ahead in (-hours, hours)]
        robbed = {running.enter_context(worker).pid for worker in wrong} | {right.pid}
        caller = running.enter_context(scene.start(call_and_decide, list(range(RUNS))))
        assert first_ended([caller], within=50) is caller
        assert caller.ended() == 0
        until(lambda: scene.database.value(HELD) == "completed", "the run that was held has ended")

    results = {f"mixed {n}": mixed_result(n) for n in range(RUNS)} | {"held": 1.5}
    assert scene.check(results=results, recovered=False, stopped=robbed)["approvals"] == RUNS
    recovered = scene.database.value("SELECT count(*) FROM agentflow_journal WHERE kind = 'recovered'")
    assert recovered > 0, "nobody took anybody's run: the clocks made no difference"
