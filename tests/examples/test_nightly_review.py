"""The nightly schedule of the invoice desk, by a clock that is moved to two o'clock."""

from __future__ import annotations

import importlib.util
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentflow import AgentFlow
from agentflow.testing import FakeClock
from schedulers.declaring import declare
from schedulers.firing import fire_due

if TYPE_CHECKING:
    from types import ModuleType

    from agentflow.client import Client

EXAMPLE = Path(__file__).parents[2] / "examples" / "invoice_desk.py"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NIGHT = datetime(2026, 3, 3, 1, tzinfo=UTC)  # two o'clock in Berlin


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("invoice_desk", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "invoice_desk", module)
    spec.loader.exec_module(module)
    return module


async def correct(client: Client, desk: Any, amount: float) -> None:
    """An invoice comes in, and a person changes its amount."""
    run = await desk.clerk.trigger(json.dumps(desk.LETTER["data"]))
    async for _ in client.changes():
        for approval in (await client.approvals()).items:
            final = {**json.loads(approval.data), "amount": amount}
            await client.decide(approval.id, "correct", by="ada", data=final)
        if (await client.run(run.id)).is_finished:
            return


async def test_at_two_in_berlin_what_changed_that_day_is_reviewed_once(desk: Any) -> None:
    clock = FakeClock(NOON)
    async with AgentFlow(desk, database=desk.DATABASE, clock=clock) as flow:
        await declare(flow.client)
        assert await fire_due(flow.client) == 0
        await correct(flow.client, desk, 1200.0)
        await clock.advance(NIGHT - clock.now() + timedelta(seconds=1))
        assert await fire_due(flow.client) == 1
        assert await fire_due(flow.client) == 0

        [run] = (await flow.client.runs(task="review")).items
        ended = await flow.client.result(run.id, timeout=60)
        assert json.loads(ended.output or "") == [
            'Book INV-4721: [{"op": "replace", "path": "/amount", "value": 1200.0}]'
        ]
        [occurrence] = (await flow.client.schedules.occurrences("nightly-review")).items
        assert (occurrence.fire_at, occurrence.run_id) == (NIGHT, run.id)
