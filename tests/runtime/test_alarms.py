"""A run that nothing would move on raises an alarm, once; runs that go their ways raise none."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from agentflow import sleep, task, wait_for_approval
from agentflow.store.waiting import waits
from tests.support.stores import until

if TYPE_CHECKING:
    import pytest

    from tests.runtime.conftest import OpenHarness


@task
async def asking() -> str:
    await sleep("1h")
    return str((await wait_for_approval("go?")).outcome)


def _lose_waits(tx: Any, run_id: str) -> None:
    """Somebody wrote past the store."""
    tx.run(waits.WITHDRAW_ALL, {"of_run": run_id, "now": tx.now})


async def test_a_worker_says_of_a_stuck_run_once_that_it_is(
    live: OpenHarness, caplog: pytest.LogCaptureFixture
) -> None:
    async with live(asking) as h:
        run = await h.trigger(asking)
        await h.until_idle()
        await h.worker._upkeep.raise_alarm()
        await h.advance("1h")
        await h.only_approval(run)
        await h.worker._upkeep.raise_alarm()
        assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []
        await h.store.write(_lose_waits, run.id)  # type: ignore[attr-defined]
        assert [one.id for one in await h.client.stuck()] == [run.id]
        for _ in range(3):
            await h.worker._upkeep.raise_alarm()
        [alarm] = [one for one in caplog.records if one.levelno >= logging.ERROR]
        assert alarm.getMessage() == (
            f"run {run.id} of task asking is waiting and nothing would ever move it on; cancel it, or fork it, and "
            "report this"
        )
        assert await h.why(run) == "it waits for nothing that is recorded: a defect"


async def test_looking_for_stuck_runs_is_part_of_upkeep(live: OpenHarness, caplog: pytest.LogCaptureFixture) -> None:
    async with live(asking) as h:
        run = await h.trigger(asking)
        await h.advance("1h")
        await h.only_approval(run)
        await h.store.write(_lose_waits, run.id)  # type: ignore[attr-defined]
        await h.restart()
        await until(lambda: any(one.levelno >= logging.ERROR for one in caplog.records))
        assert [run.id in one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == [True]
