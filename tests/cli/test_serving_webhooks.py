"""What a program says at its start of webhooks that it cannot serve, or that verify nothing."""

from __future__ import annotations

import urllib.request

import pytest

from tests.cli.shell import Shell

OPEN = """
    from agentflow import task
    from agentflow.verifiers import unverified

    @task.webhook("/orders", {options})
    @task
    async def order(payload: dict) -> None: ...
"""


@pytest.mark.parametrize("command", ["serve", "ui"])
def test_a_webhook_without_a_verifier_is_refused_unless_for_developers(command: str, agentflow: Shell) -> None:
    agentflow.write("app.py", OPEN.format(options=""))
    ended = agentflow(command, "app.py", "--port", "0")
    assert ended.code != 0
    assert "webhook /orders has no verify=, so anybody could start 'order'" in ended.err
    assert "Traceback" not in ended.err
    started = agentflow.start(command, "app.py", "--dev", "--port", "0", "--json")
    address = started.document()["address"]
    with urllib.request.urlopen(f"{address}/hooks/orders", b"{}", timeout=60) as answer:
        assert answer.status == 202
    assert "webhook /orders has no verify=: whoever reaches it can start 'order'; only --dev serves it" in (
        started.stop().err
    )


def test_one_that_is_unverified_by_intention_is_served_and_said_loudly(agentflow: Shell) -> None:
    agentflow.write("app.py", OPEN.format(options="verify=unverified()"))
    started = agentflow.start("serve", "app.py", "--port", "0", "--json", "--quiet")
    started.document()
    assert "WARNING approvals_ui.hooks: webhook /orders is unverified()" in started.stop().err


def test_a_secret_that_is_missing_ends_it_at_once(agentflow: Shell) -> None:
    options = "verify=__import__('agentflow.verifiers').verifiers.github(__import__('agentflow').Secret.env('HUB'))"
    agentflow.write("app.py", OPEN.format(options=options))
    ended = agentflow("serve", "app.py", "--port", "0")
    assert ended.code != 0
    assert "webhook /orders: environment variable HUB is not set" in ended.err
    assert "Traceback" not in ended.err
