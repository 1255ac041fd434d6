"""Events and callbacks at the terminal: what is sent there lets runs go on, and what is refused changes nothing."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from agentflow import create_callback, gather, step, task, wait_for_event
from agentflow.clock import SystemClock
from agentflow.testing import FakeClock, Harness

if TYPE_CHECKING:
    from agentflow.tasks.task import Task
    from tests.cli.shell import Shell

TOKENS: list[str] = []


@step
async def hand_over(token: str) -> None:
    TOKENS.append(token)


@task
async def paying(order: str) -> Any:
    return await wait_for_event("paid", key=order, timeout="30000d")


@task
async def asking() -> Any:
    callback = await create_callback("bank", heartbeat_timeout="30000d")
    await hand_over(callback.token)
    return await gather(callback, wait_for_event("go", queue=True))


def parked(shell: Shell, of: Task[..., Any], *args: Any) -> str:
    """The id of a run of this task that waits, in the database of the shell's folder."""

    async def park() -> str:
        async with Harness(of, path=shell.folder / "agentflow.db", clock=FakeClock(SystemClock().now())) as harness:
            run = await harness.trigger(of, *args)
            assert await harness.status(run) == "waiting"
            return run.id

    TOKENS.clear()
    return asyncio.run(park())


def result(shell: Shell, of: Task[..., Any], run_id: str) -> Any:
    """What the run returns once a worker is there again."""

    async def ended() -> Any:
        async with Harness(of, path=shell.folder / "agentflow.db", clock=FakeClock(SystemClock().now())) as harness:
            return await harness.result(run_id)

    return asyncio.run(ended())


def test_an_event_lets_a_run_go_on_and_is_sent_once_under_its_id(agentflow: Shell) -> None:
    run_id = parked(agentflow, paying, "a-1")
    agentflow.write("paid.json", '{"total": 9.5}')

    first = agentflow("send", "paid", "--key", "a-1", "--payload", "@paid.json", "--id", "bank-77")
    again = agentflow("send", "paid", "--key", "a-1", "-p", '{"total": 9.50}', "--id", "bank-77", "--json")
    other = agentflow("send", "paid", "--key", "a-1", "-p", "8", "--id", "bank-77")

    assert first.out == "sent: 'paid' of 'a-1' (the 1. of its name and key), bank-77\n"
    assert (again.document["repeated"], again.document["payload"]) == (True, {"total": 9.5})
    assert other.code == 4
    assert "event bank-77 was sent before" in other.complaint
    assert result(agentflow, paying, run_id) == {"total": 9.5}
    assert [one["id"] for one in agentflow("events", "--json").document] == ["bank-77"]
    assert "'paid' of 'a-1'" in agentflow("events", "--name", "paid").out


def test_what_cannot_be_sent_is_refused(agentflow: Shell) -> None:
    parked(agentflow, paying, "a-1")
    refusals = {
        ("send", "a:b"): "found the name 'a:b'",
        ("send", "paid", "--key", "x" * 501): "found the key",
        ("send", "paid", "--payload", "{"): "--payload: found",
    }

    for arguments, said in refusals.items():
        refused = agentflow(*arguments)
        assert refused.code == 2
        assert said in refused.complaint
    assert agentflow("events", "--json").document == []


def test_a_callback_is_kept_alive_completed_and_then_resolved(agentflow: Shell) -> None:
    run_id = parked(agentflow, asking)
    token = TOKENS[0]

    beating = agentflow("callback", "heartbeat", token, "--details", '{"percent": 10}')
    done = agentflow("callback", "complete", "-", "--result", "[1, 2]", "--json", stdin=f"{token}\n")
    failed = agentflow("callback", "fail", token, "--error", "too late")
    unknown = agentflow("callback", "complete", token + "x")
    agentflow("send", "go", "-p", '"gone"')

    assert beating.out.startswith("pending until ")
    assert (done.document["status"], done.document["run_id"]) == ("completed", run_id)
    assert (failed.code, unknown.code) == (4, 3)
    assert token not in failed.err + unknown.err + beating.out + done.out
    assert result(agentflow, asking, run_id) == ([1, 2], "gone")


def test_a_run_is_shown_with_what_it_waits_for(agentflow: Shell) -> None:
    paying_id, asking_id = parked(agentflow, paying, "a-1"), parked(agentflow, asking)
    token = TOKENS[0]

    shown = agentflow("show", paying_id).out
    assert "event.paid#1  waits for event 'paid' of 'a-1' until 21" in shown
    assert "for event 'paid' of 'a-1', at most" in agentflow("why", paying_id).out

    shown = agentflow("show", asking_id).out
    assert "gather#1[0]/bank.result#1  waits for callback cbk_" in shown
    assert "gather#1[1]/event.go#1  waits for the next message 'go'" in shown
    assert token not in shown + json.dumps(agentflow("show", asking_id, "--json").document)
    agentflow("callback", "fail", token, "--error", "no such account")
    assert "CallbackFailed: no such account" in agentflow("show", asking_id).out
