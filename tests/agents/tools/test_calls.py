"""Calls of tools in runs: recorded once, under the policy of the tool, with what they may and may not do again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from agentflow import NOT_DONE, Done, Fatal, Retry, StepTimedOut, gather, task
from agentflow.agents import Tool, ToolContext, ToolError, tool
from agentflow.errors import AllFailed, DefinitionError, RunFailed
from agentflow.states import EntryKind
from tests.agents.tools.conftest import OpenHarness

done: list[str] = []
troubles: list[Exception] = []


@pytest.fixture(autouse=True)
def _empty() -> None:
    done.clear()
    troubles.clear()


def trouble() -> None:
    if troubles:
        raise troubles.pop(0)


@dataclass(frozen=True)
class Receipt:
    order: str
    amount: Decimal


@tool
async def pay(order: str, amount: Decimal, ctx: ToolContext[str]) -> Receipt:
    """Pay an order."""
    done.append(f"{ctx.agent} {ctx.call_id} {ctx.tool} {ctx.context} {type(amount).__name__}")
    trouble()
    return Receipt(order, amount)


@tool
def look(word: str) -> list[str]:
    """Look a word up."""
    done.append(word)
    trouble()
    return [word, word.upper()]


def calling(made: Tool[..., Any], arguments: dict[str, Any], context: Any = None) -> Any:
    @task(id="calling")
    async def calling() -> str:
        return made.answer_text(await made.perform("call-1", made.check_plain(arguments), context, agent="shop"))

    return calling


async def test_a_call_is_recorded_as_a_tool_with_its_id_and_plain_arguments(harness: OpenHarness) -> None:
    calls = calling(pay, {"order": "a", "amount": 12.5}, "ann")
    async with harness(calls) as h:
        run = await h.trigger(calls)
        assert await h.result(run) == '{"order": "a", "amount": "12.5"}'
        [entry] = [one for one in await h.journal(run) if one.key == "pay#1"]
    assert entry.operation == "tool"
    assert json.loads(entry.input or "") == [{"call": "call-1", "arguments": {"order": "a", "amount": 12.5}}]
    assert done == ["shop call-1 pay ann Decimal"]


async def test_a_sync_tool_runs_and_its_result_is_read_back_as_its_type(harness: OpenHarness) -> None:
    calls = calling(look, {"word": "day"})
    async with harness(calls) as h:
        assert await h.run(calls) == '["day", "DAY"]'
    assert done == ["day"]


async def test_a_failing_call_is_tried_again_by_the_policy_but_not_what_is_told_to_the_model(
    harness: OpenHarness,
) -> None:
    @tool(retry=Retry(max_attempts=3, min_delay=0))
    async def fetch(word: str) -> str:
        """Fetch it."""
        done.append(word)
        trouble()
        return word

    calls = calling(fetch, {"word": "day"})
    troubles.extend([OSError("gone"), OSError("gone")])
    async with harness(calls) as h:
        assert await h.run(calls) == "day"
        assert len(done) == 3
        troubles.append(ToolError("no such word"))
        run = await h.trigger(calls)
        await h.until_idle()
        assert await h.status(run) == "failed"
    assert len(done) == 4


async def test_a_call_that_takes_too_long_fails(live: OpenHarness) -> None:
    @tool(timeout="20ms")
    async def hang() -> str:
        """Hang."""
        await asyncio.Event().wait()
        return ""

    seen: list[Exception] = []

    @task(id="calling")
    async def calls() -> None:
        try:
            await hang.perform("1", {})
        except StepTimedOut as error:
            seen.append(error)

    async with live(calls) as h:
        await h.run(calls)
    assert hang.tells(seen[0])
    assert hang.failure_text(seen[0]).startswith("the tool failed: StepTimedOut: ")


async def test_parallel_calls_are_branches_of_their_own(harness: OpenHarness) -> None:
    @task(id="calling")
    async def calls() -> list[list[str]]:
        return list(await gather(*(look.perform(str(n), {"word": f"w{n}"}) for n in range(3))))

    async with harness(calls) as h:
        run = await h.trigger(calls)
        assert await h.result(run) == [["w0", "W0"], ["w1", "W1"], ["w2", "W2"]]
        keys = {one.key for one in await h.journal(run) if one.operation == "tool"}
    assert keys == {f"gather#1[{n}]/look#1" for n in range(3)}
    assert sorted(done) == ["w0", "w1", "w2"]


# -- called by other code


async def test_outside_of_a_run_a_tool_is_the_function_it_was_made_of() -> None:
    assert await look("day") == ["day", "DAY"]
    context = ToolContext(run_id="", agent="a", call_id="c", tool="pay", context="ann", idempotency_key="")
    assert await pay("x", Decimal(1), context) == Receipt("x", Decimal(1))
    assert look.__name__ == "look"


async def test_in_a_task_a_call_by_its_own_signature_is_the_same_durable_step(harness: OpenHarness) -> None:
    theirs = ToolContext(run_id="", agent="mine", call_id="c", tool="pay", context="ann", idempotency_key="")

    @task(id="direct")
    async def direct() -> str:
        found = await look("day")
        receipt = await pay("x", amount=Decimal("1.10"), ctx=theirs)
        return f"{found} {receipt.amount}"

    async with harness(direct) as h:
        run = await h.trigger(direct)
        assert await h.result(run) == "['day', 'DAY'] 1.10"
        entries = [one for one in await h.journal(run) if one.operation == "tool"]
    assert [one.key for one in entries] == ["look#1", "pay#1"]
    assert json.loads(entries[1].input or "") == [{"call": "", "arguments": {"order": "x", "amount": "1.10"}}]
    assert done == ["day", "mine c pay ann Decimal"]


# -- fallback


def backup(word: str) -> list[str]:
    """Look it up in the other book."""
    done.append(f"backup {word}")
    return [word]


async def test_a_failed_call_is_given_to_the_fallback_and_the_journal_says_so(harness: OpenHarness) -> None:
    first = tool(fallback=backup)(look.body.function)  # type: ignore[attr-defined]
    calls = calling(first, {"word": "day"})
    troubles.append(OSError("gone"))
    async with harness(calls) as h:
        run = await h.trigger(calls)
        assert await h.result(run) == '["day"]'
        journal = await h.journal(run)
    assert done == ["day", "backup day"]
    [noted] = [one for one in journal if one.kind is EntryKind.NOTED]
    assert json.loads(noted.detail or "") == {"answered_by": "backup", "failures": ["look: OSError: gone"]}
    assert [one.key for one in journal if one.operation == "tool"] == ["look#1/look#1", "look#1/backup#1/backup#1"]


@pytest.mark.parametrize("error", [ToolError("no such word"), Fatal("stop")])
async def test_what_is_an_answer_or_fatal_is_not_given_to_the_fallback(harness: OpenHarness, error: Exception) -> None:
    first = tool(fallback=backup)(look.body.function)  # type: ignore[attr-defined]
    calls = calling(first, {"word": "day"})
    troubles.append(error)
    async with harness(calls) as h:
        run = await h.trigger(calls)
        with pytest.raises(RunFailed):
            await h.result(run)
    assert done == ["day"]


async def test_when_the_fallback_fails_too_the_model_is_told_of_both(live: OpenHarness) -> None:
    @tool
    async def other(word: str) -> list[str]:
        """Look elsewhere."""
        raise OSError("elsewhere is closed")

    first = tool(fallback=other)(look.body.function)  # type: ignore[attr-defined]
    told: list[str] = []

    @task(id="calling")
    async def calls() -> None:
        try:
            await first.perform("1", {"word": "day"})
        except AllFailed as error:
            told.append(first.failure_text(error))

    troubles.append(OSError("gone"))
    async with live(calls) as h:
        await h.run(calls)
    assert told == ["the tool failed: every hop failed: look: OSError: gone; other: OSError: elsewhere is closed"]


def gated(word: str) -> list[str]:
    """Look."""
    return [word]


def differs(words: str) -> list[str]:
    """Look."""
    return [words]


BAD_FALLBACKS = [
    (tool(needs_approval=True, effect="read")(gated), "has needs_approval=, and nobody would be asked"),
    (tool(effect="irreversible")(gated), "it is irreversible, 'look' only idempotent; say the graver"),
    (look, "both are named alike"),
    (differs, "they differ in words"),
    (3, "cannot be called|no name for a tool"),
]


@pytest.mark.parametrize(("other", "said"), BAD_FALLBACKS)
def test_a_fallback_that_cannot_stand_in_is_refused(other: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        tool(fallback=other)(look.body.function)  # type: ignore[attr-defined]


# -- effects


async def test_an_undo_gets_the_arguments_as_values_the_result_and_what_it_wants_injected(
    harness: OpenHarness,
) -> None:
    async def pay_back(order: str, amount: Decimal, result: Receipt, ctx: ToolContext[str]) -> None:
        done.append(f"back {order} {amount + 1} {result.amount + 1} {ctx.context} {bool(ctx.idempotency_key)}")

    made = tool(undo=pay_back)(pay.body.function)  # type: ignore[attr-defined]

    @task(id="calling")
    async def calls() -> None:
        await made.perform("1", {"order": "a", "amount": 2}, "ann")
        raise ValueError("no")

    async with harness(calls) as h:
        run = await h.trigger(calls)
        await h.until_idle()
        assert await h.status(run) == "failed"
        [undone] = [one.key for one in await h.journal(run) if one.operation == "undo"]
    assert done[1:] == ["back a 3 3 ann True"]
    assert undone.endswith("pay_back#1")


class Bank:
    """A tool that is cut off by a crash while it is told to hang."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.begun = asyncio.Event()
        self.hangs = True

    def transfer(self, **options: Any) -> Tool[..., Any]:
        async def find(iban: str) -> Any:
            done.append(f"look up {iban}")
            return self.answer

        @tool(effect="irreversible", **({"lookup": find} if self.answer is not None else {}), **options)
        async def transfer(iban: str) -> str:
            """Transfer money."""
            done.append("transfer")
            self.begun.set()
            if self.hangs:
                await asyncio.Event().wait()
            return "sent"

        return transfer


@pytest.mark.parametrize(
    ("answer", "result", "happened"),
    [(Done("sent before"), "sent before", ["transfer", "look up DE1"]),
     (NOT_DONE, "sent", ["transfer", "look up DE1", "transfer"])],
)  # fmt: skip
async def test_an_irreversible_call_cut_off_by_a_crash_is_settled_by_its_lookup(
    live: OpenHarness, answer: Any, result: str, happened: list[str]
) -> None:
    bank = Bank(answer)
    calls = calling(bank.transfer(), {"iban": "DE1"})
    async with live(calls) as h:
        run = await h.trigger(calls)
        await bank.begun.wait()
        bank.hangs = False
        await h.crash()
        await h.until_idle()
        assert await h.result(run) == result
    assert done == happened


async def test_a_lookup_knows_the_call_by_the_key_the_call_itself_had(live: OpenHarness) -> None:
    keys: list[str] = []
    begun = asyncio.Event()

    async def find(ctx: ToolContext[Any]) -> Any:
        keys.append(ctx.idempotency_key)
        return Done("sent before")

    @tool(effect="irreversible", lookup=find)
    async def transfer(ctx: ToolContext[Any]) -> str:
        """Transfer money."""
        keys.append(ctx.idempotency_key)
        begun.set()
        await asyncio.Event().wait()
        return "sent"

    calls = calling(transfer, {})
    async with live(calls) as h:
        run = await h.trigger(calls)
        await begun.wait()
        await h.crash()
        assert await h.result(run) == "sent before"
    assert keys == [f"{run.id}:transfer#1"] * 2


async def test_without_a_lookup_it_is_never_made_again_and_a_person_is_asked(live: OpenHarness) -> None:
    bank = Bank(None)
    calls = calling(bank.transfer(), {"iban": "DE1"})
    async with live(calls) as h:
        run = await h.trigger(calls)
        await bank.begun.wait()
        bank.hangs = False
        await h.crash()
        await h.until_idle()
        assert await h.status(run) == "waiting"
        assert len(await h.approvals(run)) == 1
    assert done == ["transfer"]


async def test_a_call_of_any_other_effect_is_made_again_with_the_same_idempotency_key(live: OpenHarness) -> None:
    keys: list[str] = []
    begun = asyncio.Event()

    @tool
    async def book(ctx: ToolContext[None]) -> str:
        """Book it."""
        keys.append(ctx.idempotency_key)
        begun.set()
        if len(keys) == 1:
            await asyncio.Event().wait()
        return "booked"

    calls = calling(book, {})
    async with live(calls) as h:
        run = await h.trigger(calls)
        await begun.wait()
        await h.crash()
        await h.until_idle()
        assert await h.result(run) == "booked"
    assert keys == [f"{run.id}:book#1"] * 2
