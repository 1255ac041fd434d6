"""An event that is sent at the very moment at which a run parks on it is never missed, and never taken twice."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.faults.programs import park_on_events, send_events
from tests.support.processes import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.scenes import Scene

TIMES = int(os.environ.get("AGENTFLOW_TEST_RACES", "10000"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_times_an_event_is_sent_while_its_run_parks(in_memory: Callable[[str], Scene]) -> None:
    scene = in_memory("race")
    start = CONTEXT.Barrier(2)
    with (
        scene.start(park_on_events, TIMES, start) as parking,
        scene.start(send_events, TIMES, start) as sending,
    ):
        assert parking.hear(within=500) == TIMES
        assert sending.hear() == TIMES
        assert parking.ended() == sending.ended() == 0

    statuses = scene.database.rows("SELECT status, count(*) n FROM agentflow_run GROUP BY status")
    assert statuses == [{"status": "queued", "n": TIMES}], "a run sleeps although its event is there"
    told = scene.database.rows(
        "SELECT run_id, output, detail FROM agentflow_journal WHERE kind = 'wait_resolved' ORDER BY run_id"
    )
    assert [row["output"] for row in told] == [str(n) for n in range(TIMES)]
    assert len({json.loads(row["detail"])["event"] for row in told}) == TIMES
    assert scene.database.value("SELECT count(*) FROM agentflow_wait") == 0
    last = "SELECT count(*) FROM agentflow_journal WHERE kind = 'parked' AND (run_id, seq) IN (SELECT run_id, max(seq) "
    sent_first = scene.database.value(f"{last}FROM agentflow_journal GROUP BY run_id)")
    assert 0 < sent_first < TIMES, f"this was no race: the event came first {sent_first} times"
    scene.check()
