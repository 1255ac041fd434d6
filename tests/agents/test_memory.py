"""What an agent remembers, what reaches it while it works, and how its memory is kept small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from agentflow import Retry
from agentflow.agents import Agent, Message, PromptFile, Reply, Request, Role, tool
from agentflow.agents.models.base import OnText
from agentflow.errors import DefinitionError, Fatal, ModelUnavailable, RunFailed
from agentflow.testing import Harness, ScriptedModel
from tests.support.harnesses import OpenHarness


@tool(effect="read")
def look(order: str = "A1") -> str:
    """Look up an order.

    Args:
        order: The order's number.
    """
    return f"{order} is on its way"


async def test_a_thread_goes_on_where_the_run_before_ended(harness: OpenHarness) -> None:
    model = (
        ScriptedModel()
        .calls("look", {})
        .says("it is on its way")
        .says(
            "A1, as you said",
            that=lambda asked: [one.text for one in asked.messages][-2:] == ["it is on its way", "which?"],
        )
    )
    agent = Agent("helper", model=model, tools=[look])
    async with harness(agent) as h:
        assert await h.run(agent, "where is A1?", thread="ada") == "it is on its way"
        assert await h.run(agent, "which?", thread="ada") == "A1, as you said"
        parts = await h.store.thread("ada")
        assert [(one.seq, one.count) for one in parts] == [(1, 4), (2, 2)]
    model.check()
    assert [one.role for one in model.requests[2].messages] == [
        Role.USER, Role.ASSISTANT, Role.TOOL, Role.ASSISTANT, Role.USER,
    ]  # fmt: skip


async def test_a_run_that_fails_adds_nothing_to_its_thread(live: OpenHarness) -> None:
    model = ScriptedModel().fails(ModelUnavailable("503"))
    agent = Agent("helper", model=model, model_retry=Retry(max_attempts=1))
    async with live(agent) as h:
        with pytest.raises(RunFailed):
            await h.run(agent, "?", thread="ada")
        assert await h.store.thread("ada") == []


async def test_a_run_with_a_thread_that_fails_takes_back_what_its_tools_did(
    live: OpenHarness, caplog: pytest.LogCaptureFixture
) -> None:
    happened: list[str] = []

    def cancel(seat: str) -> None:
        happened.append(f"cancel {seat}")

    @tool(undo=cancel)
    def book(seat: str) -> str:
        """Book a seat."""
        happened.append(f"book {seat}")
        return "booked"

    model = ScriptedModel().says("hello").calls("book", {"seat": "12"}).fails(Fatal("no"))
    agent = Agent("helper", model=model, tools=[book])
    async with live(agent) as h:
        await h.run(agent, "hi", thread="ada")
        run = await h.trigger(agent, "book", thread="ada")
        await h.until_idle()
        assert await h.status(run) == "failed"
    assert happened == ["book 12", "cancel 12"]
    assert "is no recorded operation" not in caplog.text


class Interrupted(ScriptedModel):
    """Somebody tells the agent something while this model thinks for the first time."""

    told = ""
    harness: Harness

    async def reply(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        if self.told:
            told, self.told = self.told, ""
            [run] = (await self.harness.client.runs()).items
            await self.harness.client.tell(run.id, told, by="ada")
        return await super().reply(request, on_text=on_text)


async def test_what_is_said_to_it_while_it_works_reaches_the_turn_after_the_next(harness: OpenHarness) -> None:
    model = Interrupted().calls("look", {}).calls("look", {"order": "A3"}).says("both are", last="and A2 too")
    agent = Agent("helper", model=model, tools=[look])
    async with harness(agent) as h:
        model.harness, model.told = h, "and A2 too"
        assert await h.run(agent, "where is A1?") == "both are"


async def test_an_answer_is_none_while_there_is_mail(harness: OpenHarness) -> None:
    model = Interrupted().says("it is on its way").says("so is A2", last="and A2?")
    agent = Agent("helper", model=model)
    async with harness(agent) as h:
        model.harness, model.told = h, "and A2?"
        assert await h.run(agent, "where is A1?") == "so is A2"


async def test_a_long_conversation_is_made_smaller_once(harness: OpenHarness) -> None:
    made: list[int] = []

    async def compact(messages: Sequence[Message]) -> list[Message]:
        made.append(len(messages))
        return [Message(role=Role.USER, text="Earlier: A1 is on its way. Go on.")]

    model = (
        ScriptedModel()
        .calls("look", {}, usage=(1000, 1))
        .says("done", that=lambda asked: [one.text for one in asked.messages] == ["Earlier: A1 is on its way. Go on."])
    )
    agent = Agent("helper", model=model, tools=[look], compact=compact, compact_at=900)
    async with harness(agent) as h:
        assert await h.run(agent, "?") == "done"
    assert made == [3]


async def test_a_thread_goes_on_from_what_a_compaction_left_of_it(harness: OpenHarness) -> None:
    model = (
        ScriptedModel()
        .says("first")
        .calls("look", {}, usage=(1000, 1))
        .says("second")
        .says("third", that=lambda asked: [one.text for one in asked.messages] == ["summary", "second", "q3"])
    )

    def compact(_: Sequence[Message]) -> list[Message]:
        return [Message(role=Role.USER, text="summary")]

    agent = Agent("helper", model=model, tools=[look], compact=compact, compact_at=900)
    async with harness(agent) as h:
        assert await h.run(agent, "q1", thread="ada") == "first"
        assert await h.run(agent, "q2", thread="ada") == "second"
        assert await h.run(agent, "q3", thread="ada") == "third"


# -- prompts


async def test_a_prompt_file_is_rendered_once_and_its_fingerprint_is_in_the_journal(
    harness: OpenHarness, tmp_path: Path
) -> None:
    file = tmp_path / "helper.md.j2"
    file.write_text("You serve {{ context.shop }}.\n{% if strict %}Be strict.{% endif %}\n")
    model = ScriptedModel().calls("look", {}).says("ok")
    agent = Agent("helper", model=model, tools=[look], instructions=PromptFile(file, strict=True))
    async with harness(agent) as h:
        run = await h.trigger(agent, "?", context={"shop": "Ada's"})
        assert await h.result(run) == "ok"
        [begun] = [one for one in await h.journal(run) if one.operation == "instructions"]
    assert model.requests[1].messages[0].text == "You serve Ada's.\nBe strict."
    assert begun.output is not None
    assert '"source":"helper.md.j2"' in begun.output.replace(": ", ":")
    assert "sha256:" in begun.output


async def test_what_a_prompt_names_and_nobody_gave_ends_the_run_with_its_name(
    live: OpenHarness, tmp_path: Path
) -> None:
    file = tmp_path / "helper.md.j2"
    file.write_text("You serve {{ shop }}.")
    agent = Agent("helper", model=ScriptedModel(), instructions=PromptFile(file))
    async with live(agent) as h:
        with pytest.raises(RunFailed, match="'shop' is undefined"):
            await h.run(agent, "?")


def test_a_prompt_file_that_is_not_right_is_refused_when_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="cannot be read"):
        PromptFile(tmp_path / "none.j2")
    broken = tmp_path / "broken.j2"
    broken.write_text("a\n{% if %}")
    with pytest.raises(DefinitionError, match="line 2"):
        PromptFile(broken)
