"""The types a user sees. Checked by mypy, never run: each assignment fails the check if a signature loses its types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

from agentflow import (
    AgentFlow,
    Approval,
    Client,
    Retry,
    Run,
    RunHandle,
    Step,
    Task,
    gather,
    now,
    random,
    schedule,
    sleep,
    step,
    task,
    wait_for,
    wait_for_approval,
)


@dataclass
class Draft:
    total: int


@step
async def fetch(url: str) -> bytes:
    return url.encode()


@step(retry=Retry(max_attempts=2), timeout="5s")
def parse(content: bytes, *, strict: bool = False) -> Draft:
    return Draft(len(content) + strict)


@task
async def bare(url: str) -> Draft:
    content = assert_type(await fetch(url), bytes)
    return assert_type(await parse(content, strict=True), Draft)


@schedule("0 9 * * *")
@task(retry=Retry(), timeout="10m")
async def configured(url: str, limit: int = 3) -> int:
    draft, content = await gather(bare(url), fetch(url))
    assert_type(draft, Draft)
    assert_type(content, bytes)
    decision = await wait_for_approval(draft, title="Draft", allow=("approve", "reject"))
    assert_type(decision, Approval[Draft])
    assert_type(decision.data, Draft)
    assert_type(await wait_for(fetch(url), "5s"), bytes)
    await sleep("3d")
    assert_type((await now()).year, int)
    assert_type(await random(), float)
    child = await bare.trigger(url)
    assert_type(child, RunHandle[Draft])
    assert_type(await child, Draft)
    assert_type(await bare.trigger_and_wait(url), Draft)
    return decision.data.total + limit


async def outside(client: Client) -> None:
    typed: Task[[str], Draft] = bare
    recorded: Step[[str], bytes] = fetch
    assert_type(await typed("x"), Draft)
    assert_type(await recorded("x"), bytes)
    assert_type(await client.trigger(bare, "x"), Run)
    async with AgentFlow(bare, configured, database="sqlite:///x.db") as app:
        assert_type(app.client, Client)
        assert_type(await configured.options(delay="5m").trigger("x", limit=1), RunHandle[int])
