"""A program that receives deliveries over HTTP, to be killed between their commit and its answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agentflow import AgentFlow, task
from agentflow.tasks.webhook import Webhook
from agentflow.verifiers import github
from approvals_ui import create_app
from tests.support.server import running
from tests.support.signing import GITHUB_SECRET

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


@task
async def receives(n: int) -> int:
    return n


def serve(channel: Connection, database: str) -> None:
    """Serve one webhook until killed; says where."""

    async def main() -> None:
        hook = Webhook("/orders", task=receives, verify=github(GITHUB_SECRET), input=lambda payload: payload)
        async with (
            AgentFlow(receives, database=database, worker=False) as app,
            running(create_app(app.client, webhooks={hook.path: hook})) as url,
        ):
            channel.send(url)
            await asyncio.Event().wait()

    asyncio.run(main())
