"""From a decision on a page to the next line of the task, with a real worker."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from agentflow import AgentFlow, task, wait_for_approval
from tests.support.server import served
from tests.ui.conftest import Browsing

if TYPE_CHECKING:
    from pathlib import Path

    from agentflow.client import Client
    from agentflow.records import Approval


class Payment(BaseModel):
    payee: str
    total: Decimal
    parts: int
    note: str | None = None


@task
async def pay(total: str) -> Payment:
    """Asks before it pays."""
    draft = Payment(payee="Müller", total=Decimal(total), parts=2)
    decision = await wait_for_approval(draft, title="Pay Müller?", confidence=0.4, timeout="1h")
    assert isinstance(decision.data, Payment)
    return decision.data


async def asked_by(client: Client, run_id: str) -> Approval:
    async for _ in client.changes():
        found = (await client.approvals(run_id=run_id)).items
        if found:
            return found[0]
    raise AssertionError("unreachable")


@pytest.mark.parametrize(("typed", "wanted"), [({}, Decimal("12.50")), ({"total": "13.75"}, Decimal("13.75"))])
async def test_a_decision_on_the_page_resumes_the_run_with_its_types(
    tmp_path: Path, typed: dict[str, str], wanted: Decimal
) -> None:
    async with AgentFlow(pay, database=f"sqlite:///{tmp_path / 'runs.db'}") as flow:
        handle = await pay.trigger("12.50")
        asked = await asked_by(flow.client, handle.id)
        async with served(tmp_path, client=flow.client, reviewer="mia") as site, site.http() as http:
            shown = await (await Browsing(http).open(f"/approvals/{asked.id}")).submit(("verdict", "approve"), **typed)
            if typed:
                shown = await shown.submit(("verdict", "approve"))
            assert await handle == Payment(payee="Müller", total=wanted, parts=2)
            assert "by mia" in shown.text
            assert "run resumed in" in (await Browsing(http).open(f"/approvals/{asked.id}")).text
            assert "13.75" in (await Browsing(http).open(f"/runs/{handle.id}")).text or not typed
