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
from tests.support.processes import offer, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.scenes import Scene

RUNS = 12
LEASE = {"lease_for": 9.0, "heartbeat_every": 0.2}  # they look for lapsed ones three times in it
RECOVERED = "SELECT count(*) FROM agentflow_journal WHERE kind = 'recovered'"
BODY = "hold_a_thread_for_word#1"
HELD = "SELECT status FROM agentflow_run WHERE idempotency_key = 'held'"


@pytest.mark.parametrize("hours", [1.0, 24.0], ids=["an hour", "a day"])
def test_workers_whose_clocks_differ_take_runs_from_each_other_and_spoil_none(
    hours: float, in_memory: Callable[[str], Scene]
) -> None:
    scene = in_memory("clocks")
    fifo = scene.fifo()
    with scene.start(perform, "trigger_keyed", "holds_a_thread_for_word", {"fifo": fifo}, "held") as child:
        assert child.ended() == 0
    with ExitStack() as running:
        right = running.enter_context(scene.start(work, LEASE))
        until(lambda: ledger.starts(scene.ledger)[BODY], "the worker whose clock is right holds a run")
        wrong = [scene.start(work, LEASE | {"ahead": ahead}) for ahead in (-hours, hours)]
        robbed = {running.enter_context(worker).pid for worker in wrong} | {right.pid}
        caller = running.enter_context(scene.start(call_and_decide, list(range(RUNS))))
        until(lambda: scene.database.value(RECOVERED) > 0, "somebody takes a run that another holds")
        until(lambda: [offer(fifo, "go on")] and scene.database.value(HELD) == "completed", "the held run has ended")
        assert caller.ended(within=250) == 0

    results = {f"mixed {n}": mixed_result(n) for n in range(RUNS)} | {"held": "held"}
    assert scene.check(results=results, recovered=False, stopped=robbed)["approvals"] == RUNS
