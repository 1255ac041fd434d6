"""The types a user sees. Checked by mypy, never run: each assignment fails the check if a signature loses its types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

import agentflow
from agentflow import (
    AgentFlow,
    Approval,
    Batch,
    Branches,
    BranchResult,
    Budget,
    Client,
    Debounce,
    Queue,
    Retry,
    Run,
    RunHandle,
    Step,
    Task,
    at_least,
    first_success,
    gather,
    now,
    patched,
    random,
    scope,
    sleep,
    step,
    task,
    tolerate,
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


@task.schedule("0 9 * * *", timezone="Europe/Berlin", overlap="skip", catch_up="all(5)", spread="5m")
@task.webhook("/configured", where=lambda body: body["kind"] == "draft", rate="10/s")
@task.on("draft.*", input=lambda draft: {"url": draft["url"]})
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
    assert_type(await patched("a change"), bool)
    child = await bare.trigger(url)
    assert_type(child, RunHandle[Draft])
    assert_type(await child, Draft)
    assert_type(await bare.trigger_and_wait(url), Draft)
    return decision.data.total + limit


@task(queue=Queue("llm", rate="5/s", budget=Budget("tokens", "9/s")), queue_key="url", cost=len)
async def limited(url: str) -> int:
    return len(url)


@task(batch=Batch(10, "5s", key=lambda urls: urls[0]), ttl="1h")
async def gathered(urls: list[str]) -> int:
    return len(urls)


async def lined_up() -> None:
    prepared = limited.options(delay="5s", priority=3, singleton="join", debounce=Debounce("5s"))
    assert_type(await prepared.trigger("x"), RunHandle[int])
    assert_type(await gathered.trigger(["x"]), RunHandle[int])
    limited.options(singleton="never")  # type: ignore[arg-type]
    limited.options(dely="5s")  # type: ignore[call-arg]


async def side_by_side(urls: list[str]) -> None:
    assert_type(await agentflow.map(fetch, urls), list[bytes])
    assert_type(await agentflow.map(bare, (url for url in urls), concurrency=3), list[Draft])
    assert_type(await agentflow.map(lambda url: fetch(f"{url}/"), urls), list[bytes])
    found = await agentflow.map(bare, urls, until=at_least(2))
    assert_type(found, Branches[Draft])
    assert_type(found[0], BranchResult[Draft])
    assert_type(found[0].value, Draft | None)
    assert_type(found.values, tuple[Draft, ...])
    assert_type(found.errors, tuple[Exception, ...])
    assert_type(await gather(fetch("a"), fetch("b"), until=first_success()), Branches[bytes])
    assert_type(await gather(fetch("a"), fetch("b"), return_exceptions=True), tuple[bytes | BaseException, ...])
    async with scope("totals"):
        assert_type(await agentflow.map(fetch, urls, until=tolerate(share=0.1)), Branches[bytes])


async def waits() -> None:
    assert_type(await agentflow.wait_for_event("paid", type=Draft, timeout="3d"), Draft)
    assert_type(await agentflow.wait_for_event("paid", type=Draft, timeout="3d", on_timeout="none"), Draft | None)
    assert_type(await agentflow.wait_for_event("line", queue=True, type=str), str)
    assert_type(await agentflow.receive_events("hint", type=str), list[str])
    assert_type(await agentflow.send_event("paid", {"total": 1}, key="a"), str)
    callback = await agentflow.create_callback("bank", type=Draft, heartbeat_timeout="1h")
    assert_type(callback, agentflow.Callback[Draft])
    assert_type(await callback, Draft)
    assert_type(await (await agentflow.create_callback(type=int, on_timeout="none")), int | None)
    assert_type(await gather(callback, fetch("a")), tuple[Draft, bytes])
    assert_type(await agentflow.wait_until(ready, every=agentflow.Backoff("1s")), bool)
    assert_type(await agentflow.wait_until(ready, timeout="1h", on_timeout="none"), bool | None)
    assert_type(await agentflow.wait_until(follow, initial=1, every="30s"), Draft)


async def ready() -> bool:
    return True


async def follow(page: int) -> agentflow.Done[Draft] | int:
    return page + 1


def give_back(url: str, result: bytes) -> None: ...


@step(undo=agentflow.Undo(give_back, retry=Retry(max_attempts=2)))
async def taken(url: str) -> bytes:
    return url.encode()


async def taken_back() -> None:
    assert_type(await taken("x"), bytes)
    await agentflow.on_rollback(give_back, "x", result=b"")


async def outside(client: Client) -> None:
    typed: Task[[str], Draft] = bare
    recorded: Step[[str], bytes] = fetch
    assert_type(await typed("x"), Draft)
    assert_type(await recorded("x"), bytes)
    assert_type(await client.trigger(bare, "x"), Run)
    async with AgentFlow(bare, configured, database="sqlite:///x.db") as app:
        assert_type(app.client, Client)
        assert_type(await configured.options(delay="5m").trigger("x", limit=1), RunHandle[int])
