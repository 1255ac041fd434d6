"""Agents end to end: a real worker, a real database, and models over real HTTP, at a server that we did not write."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import RunFailed
from agentflow.states import EntryKind
from tests.agents.talking import ONCE, PRIMARY, SECONDARY, TWICE, helper, see_through
from tests.support.processes import Child

if TYPE_CHECKING:
    from pathlib import Path

    from agentflow import Retry
    from tests.support.aimock import Aimock
    from tests.support.harnesses import OpenHarness

LOOK = {"id": "call_look", "name": "look", "arguments": '{"order":"A-17"}'}
CALLED = EntryKind.SUCCEEDED, "look#1"


def answers_with(aimock: Aimock, model: str) -> None:
    """Let this model call the tool, and say what it gave."""
    aimock.says("40 EUR.", model=model, toolCallId="call_look")
    aimock.answers({"toolCalls": [LOOK]}, model=model, userMessage="A-17")


def fails_with(aimock: Aimock, model: str, status: int) -> None:
    """Let this model answer every request with this status."""
    kind = "rate_limit_error" if status == 429 else "server_error"
    aimock.answers({"error": {"message": "Sorry.", "type": kind}, "status": status, "retryAfter": 0}, model=model)


async def test_an_agent_comes_to_its_answer_by_its_tool(harness: OpenHarness, aimock: Aimock) -> None:
    answers_with(aimock, PRIMARY)
    agent = helper()
    async with harness(agent) as h:
        run = await h.trigger(agent, "What is A-17?")
        assert await h.result(run) == "40 EUR."
        done = [(one.kind, one.key) for one in await h.journal(run)]
    assert done.count(CALLED) == 1
    assert aimock.asked() == [(PRIMARY, 200), (PRIMARY, 200)]
    first, last = (one["body"] for one in aimock.journal())
    assert first["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is A-17?"},
    ]
    assert last["messages"][-1] == {"role": "tool", "tool_call_id": "call_look", "content": "A-17: 40 EUR"}
    assert all(one["stream"] for one in (first, last)), "those who follow the run see the text as it comes"


@pytest.mark.parametrize(("retry", "tries"), [(ONCE, 1), (TWICE, 2)], ids=["once", "twice"])
@pytest.mark.parametrize("status", [429, 500])
async def test_each_hop_is_asked_as_often_as_its_policy_says_and_in_order(
    harness: OpenHarness, aimock: Aimock, status: int, retry: Retry, tries: int
) -> None:
    fails_with(aimock, PRIMARY, status)
    answers_with(aimock, SECONDARY)
    agent = helper(retry)
    async with harness(agent) as h:
        run = await h.trigger(agent, "What is A-17?")
        assert await h.result(run) == "40 EUR."
        hops = [(one.kind, one.key) for one in await h.journal(run) if one.operation == "model"]
    turn = [(PRIMARY, status)] * tries + [(SECONDARY, 200)]
    assert aimock.asked() == turn * 2
    failed = [EntryKind.ATTEMPT_FAILED] * (tries - 1) + [EntryKind.FAILED]
    assert hops == [
        (kind, f"model#{number}/{name}#1")
        for number in (1, 2)
        for kind, name in [
            *((kind, f"openai:{PRIMARY}") for kind in failed),
            (EntryKind.SUCCEEDED, f"anthropic:{SECONDARY}"),
        ]
    ]


async def test_where_every_model_fails_each_was_asked_and_no_tool_has_run(live: OpenHarness, aimock: Aimock) -> None:
    fails_with(aimock, PRIMARY, 500)
    fails_with(aimock, SECONDARY, 429)
    agent = helper()
    async with live(agent) as h:
        run = await h.trigger(agent, "What is A-17?")
        with pytest.raises(RunFailed):
            await h.result(run)
        assert CALLED not in [(one.kind, one.key) for one in await h.journal(run)]
    assert aimock.asked() == [(PRIMARY, 500), (SECONDARY, 429)]


# -- killed on the way. What is written: the beginning, the failed hop, the answer of the next.

INSTRUCTIONS, FAILED_HOP, ANSWERED_HOP = 1, 2, 3


def killed_at(point: str, aimock: Aimock, folder: Path) -> Any:
    """What comes of a run whose first worker is killed at this point and whose second is not."""
    fails_with(aimock, PRIMARY, 500)
    answers_with(aimock, SECONDARY)
    database, options = f"sqlite:///{folder / 'runs.db'}", {"ledger_file": folder / "ledger"}
    with Child(see_through, database, aimock.environment(), kill=point, **options) as child:
        assert child.ended() == -signal.SIGKILL
    with Child(see_through, database, aimock.environment(), **options) as child:
        return child.hear()


@pytest.mark.parametrize(
    ("point", "first_turn"),
    [
        (f"append.after=kill@{INSTRUCTIONS}", [(PRIMARY, 500), (SECONDARY, 200)]),
        (f"append.before=kill@{FAILED_HOP}", [(PRIMARY, 500), (PRIMARY, 500), (SECONDARY, 200)]),
        (f"append.after=kill@{FAILED_HOP}", [(PRIMARY, 500), (SECONDARY, 200)]),
        (f"append.before=kill@{ANSWERED_HOP}", [(PRIMARY, 500), (SECONDARY, 200), (SECONDARY, 200)]),
        (f"append.after=kill@{ANSWERED_HOP}", [(PRIMARY, 500), (SECONDARY, 200)]),
    ],
)
def test_a_hop_that_is_recorded_as_failed_is_not_asked_again(
    point: str, first_turn: list[tuple[str, int]], aimock: Aimock, tmp_path: Path
) -> None:
    """Killed between a failed hop and the next: the next is asked. Killed before it was recorded, it is asked again."""
    assert killed_at(point, aimock, tmp_path) == "40 EUR."
    assert aimock.asked() == [*first_turn, (PRIMARY, 500), (SECONDARY, 200)]
