"""HTTP tools in runs: recorded once, tried again where that repeats nothing, and no secret in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentflow import Secret, task
from agentflow.agents import ToolError, bearer, http_tool
from agentflow.egress import Egress
from agentflow.errors import RunFailed
from agentflow.testing import Harness
from tests.agents.http.test_declared_tools import Shop, open_shop

SECRET = "s3cret-token-of-the-shop"
tools: dict[str, Any] = {}


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_shop() as it:
        egress = Egress(ports=(it.port,), allow_private=("127.0.0.1/32",), timeout="60s")
        for name, method in (("look", "GET"), ("pay", "POST")):
            tools[name] = http_tool(
                name=name,
                method=method,
                url=f"{it.url}/orders/{{order}}",
                description="d",
                auth=bearer(Secret(SECRET)),
                egress=egress,
            )
        yield it


@task(checkpoint="explicit")
async def looking(order: str) -> Any:
    try:
        return await tools["look"](order=order)
    except ToolError as error:
        return str(error)


@task(checkpoint="explicit")
async def paying(order: str) -> Any:
    return await tools["pay"](order=order)


async def test_a_call_is_recorded_and_not_made_again_and_its_secret_is_nowhere(shop: Shop, tmp_path: Path):
    shop.content = f'{{"you": "{SECRET}"}}'.encode()
    async with Harness(looking, path=tmp_path / "runs.db", replay_always=True) as h:
        assert await h.run(looking, "A-1") == {"you": "[secret]"}
        shop.status = "403 Forbidden"
        assert "answered 403 Forbidden" in await h.run(looking, "A-1")
    assert len(shop.heads) == 2
    assert all(f"Bearer {SECRET}" in head for head in shop.heads)
    assert SECRET.encode() not in b"".join(file.read_bytes() for file in tmp_path.iterdir())  # noqa: ASYNC240  all is over


async def test_a_server_that_is_busy_is_asked_again_when_it_said(shop: Shop, tmp_path: Path):
    shop.status, shop.headers = "503 Service Unavailable", {"retry-after": "3600"}
    async with Harness(looking, path=tmp_path / "runs.db") as h:
        run = await h.trigger(looking, "A-1")
        await h.until_idle()
        assert len(shop.heads) == 1
        shop.status, shop.headers = "200 OK", {"content-type": "application/json"}
        await h.advance("59m")
        assert len(shop.heads) == 1
        await h.advance("2m")
        assert await h.result(run) == {"ok": True}
    assert len(shop.heads) == 2


async def test_a_call_that_cannot_be_taken_back_and_whose_answer_is_lost_is_left_to_a_person(
    shop: Shop, tmp_path: Path
):
    shop.status, shop.headers = "429 Too Many Requests", {"retry-after": "3600"}
    async with Harness(paying, path=tmp_path / "runs.db") as h:
        run = await h.trigger(paying, "A-1")
        await h.until_idle()
        shop.status, shop.headers = "502 Bad Gateway", {}
        await h.advance("61m")
        await h.advance("7d")
        question = await h.only_approval(run)
        assert question.title == "Did pay happen?"
        assert "after what may have been done" in question.body
        await h.reject(question)
        with pytest.raises(RunFailed, match="OutcomeUnknown"):
            await h.result(run)
    assert len(shop.heads) == 2
    keys = [[line for line in head.splitlines() if line.lower().startswith("idempotency-key")] for head in shop.heads]
    assert keys[0] == keys[1] == [f"idempotency-key: {run.id}:pay#1"]
