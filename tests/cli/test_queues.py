"""Queues on the command line: look at them, stop and start them, change their limits."""

from __future__ import annotations

import pytest

from tests.cli.shell import Shell

APP = """
    from agentflow import Budget, Queue, task


    @task(queue=Queue("llm", concurrency=20, rate="100/min", budget=Budget("tokens", "9000/min")), queue_key="name")
    async def ask(name: str) -> str:
        return name
"""


@pytest.fixture
def shop(agentflow: Shell) -> Shell:
    """A database in which one run lines up in queue llm."""
    agentflow.write("app.py", APP)
    assert agentflow("trigger", "app.py:ask", "--input", '{"name": "mia"}', "--priority", "5", "--ttl", "1h").code == 0
    return agentflow


def test_queues_are_listed_with_their_limits_and_what_stands_in_them(shop: Shell) -> None:
    default, llm = shop("queues", "list", "--json").document

    assert (default["name"], default["limits"]) == ("default", {})
    assert (llm["name"], llm["running"], llm["due"], llm["delayed"]) == ("llm", 0, 1, 0)
    assert llm["limits"] == llm["declared"] == {
        "concurrency": 20,
        "rate": {"amount": 100, "per": 60.0},
        "budget": {"name": "tokens", "amount": 9000, "per": 60.0},
    }  # fmt: skip
    assert "20 at a time, 100 per 1m, 9,000 per 1m of budget 'tokens'" in shop("queues", "list").out


def test_a_paused_queue_says_who_paused_it_and_why(shop: Shell) -> None:
    paused = shop("queues", "pause", "llm", "--reason", "the provider is down", "--json").document
    (run,) = shop("runs", "--json").document

    assert (paused["reason"], paused["paused_at"] is not None) == ("the provider is down", True)
    assert f"queue 'llm' is paused by {paused['changed_by']}: the provider is down" in shop("why", run["id"]).out
    assert shop("queues", "resume", "llm", "--json").document["paused_at"] is None


def test_limits_are_changed_one_by_one_and_reset(shop: Shell) -> None:
    changed = shop("queues", "limit", "llm", "--concurrency", "5", "--budget", "none", "--fair", "--json").document
    assert changed["limits"] == {"concurrency": 5, "rate": {"amount": 100, "per": 60.0}, "fair": True}
    assert changed["declared"]["concurrency"] == 20

    reset = shop("queues", "reset", "llm", "--reason", "back to normal", "--json").document
    assert reset["limits"] == reset["declared"]


def test_the_log_shows_every_change_newest_first(shop: Shell) -> None:
    assert shop("queues", "log", "llm", "--json").document == []
    shop("queues", "pause", "llm", "--reason", "outage")
    shop("queues", "limit", "llm", "--rate", "5/s", "--budget", "tokens=100/h")

    changed, paused = shop("queues", "log", "llm", "--json").document
    assert (paused["change"], paused["reason"]) == ({"paused": True}, "outage")
    assert changed["change"]["limits"]["rate"] == {"amount": 5, "per": 1.0}
    first, second = shop("queues", "log", "llm").out.splitlines()
    assert "limits changed: 20 at a time, 5 per 1s, 100 per 1h of budget 'tokens' (before: 20 at a time" in first
    assert second.endswith(f"paused, by {paused['by']}: outage")


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["pause", "lllm"], 3, "no queue 'lllm'"),
        (["limit", "default", "--concurrency", "3"], 2, "queue 'default' has no limits"),
        (["limit", "llm"], 2, "found no limit"),
        (["limit", "llm", "--concurrency", "0"], 2, "--concurrency: found '0'"),
        (["limit", "llm", "--per-key", "-1"], 2, "--per-key: found '-1'"),
        (["limit", "llm", "--backlog", "99999999999999999999999"], 2, "backlog"),
        (["limit", "llm", "--rate", "100"], 2, "--rate: found '100' for a rate"),
        (["limit", "llm", "--budget", "tokens"], 2, "--budget:"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(shop: Shell, given: list[str], code: int, said: str) -> None:
    ended = shop("queues", *given)

    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert "Traceback" not in ended.err
