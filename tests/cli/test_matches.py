"""What events started, at the terminal: listed, tried again after a fix, and a listener removed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from agentflow import task
from agentflow.clock import SystemClock
from agentflow.testing import FakeClock, Harness

if TYPE_CHECKING:
    from tests.cli.shell import Shell


@task.on("invoice.*")
@task
async def book(n: int) -> int:
    return n


def sent(shell: Shell, *payloads: Any) -> None:
    """Have these sent while a worker is there, in the database of the shell's folder."""

    async def send() -> None:
        async with Harness(book, path=shell.folder / "agentflow.db", clock=FakeClock(SystemClock().now())) as harness:
            for number, payload in enumerate(payloads):
                await harness.client.send_event("invoice.paid", payload, id=f"evt_{number}", by="bank")
            await harness.until_idle()

    asyncio.run(send())


def test_what_events_started_is_listed_and_what_failed_is_tried_again(agentflow: Shell) -> None:
    sent(agentflow, 7, "seven")

    [failed] = json.loads(agentflow("matches", "list", "--failed", "--json").out)
    assert (failed["event"], failed["listener"], failed["run"]) == ("evt_1", "book:invoice.*", None)
    assert "wanted" in failed["reason"]
    [last, first] = json.loads(agentflow("events", "--json").out)
    assert [one["status"] for one in (*first["matches"], *last["matches"])] == ["started", "failed"]
    assert f"started book:invoice.*: {first['matches'][0]['run']}" in agentflow("events").out

    again = agentflow("matches", "retry", "evt_1")
    assert again.code == 0
    assert "evt_1 for book:invoice.*" in again.out
    [pending] = json.loads(agentflow("matches", "list", "--status", "pending", "--json").out)
    assert pending["event"] == "evt_1"
    assert json.loads(agentflow("listeners", "--json").out)[0]["pending"] == 1


def test_what_cannot_be_tried_again_is_refused(agentflow: Shell) -> None:
    sent(agentflow, 7)

    assert agentflow("matches", "retry", "evt_0").code == 3
    assert agentflow("matches", "retry", "evt_9").code == 3
    refused = agentflow("matches", "retry", "evt_0", "book:invoice.*")
    assert refused.code not in {0, 3}
    assert "starts no other" in refused.err
    assert "wanted one of" in agentflow("matches", "list", "--status", "lost").err


def test_a_listener_is_removed(agentflow: Shell) -> None:
    sent(agentflow, 7)

    assert "removed: book:invoice.*" in agentflow("listeners", "--remove", "book:invoice.*").out
    assert json.loads(agentflow("listeners", "--json").out) == []
    assert agentflow("listeners", "--remove", "book:invoice.*").code == 3
