"""What a list of tools may hold: tools, functions, tasks, agents and sources; and what it may not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from agentflow import Retry, step, task
from agentflow.agents import ArgumentsRefused, Tool, ToolContext, ToolSource, as_tool, tool
from agentflow.agents.messages import ToolSpec
from agentflow.agents.tools.sources import collect, sources
from agentflow.errors import DefinitionError, RunFailed
from tests.agents.tools.conftest import OpenHarness
from tests.support.tasks import Invoice


@step
async def double(number: int) -> int:
    return 2 * number


@task(id="sum-up")
async def sum_up(numbers: list[int], note: str = "") -> Invoice:
    """Add numbers up, each twice.

    :param numbers: What to add.
    """
    return Invoice(number=note, total=float(sum([await double(number) for number in numbers])))


@task
async def failing(word: str) -> str:
    """Fail."""
    raise ValueError(word)


@tool
async def look(word: str) -> str:
    """Look it up."""
    return word


async def plain(word: str) -> str:
    """Look it up."""
    return word


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}},
    "required": ["city"],
    "additionalProperties": False,
}


class Weather:
    """A source, as another program is one."""

    name = "weather"

    async def specs(self) -> Sequence[ToolSpec]:
        return [ToolSpec(name="forecast", description="The weather to come.", schema=SCHEMA)]

    def tool(self, spec: ToolSpec) -> Tool[..., Any]:
        async def call(arguments: Any, context: ToolContext[Any]) -> Any:
            return {"of": arguments, "by": context.call_id}

        return Tool.of_schema(
            call, name=spec.name, description=spec.description, schema=spec.schema, origin="source 'weather'"
        )


# -- tasks


def test_a_task_is_told_of_by_its_signature_and_docstring() -> None:
    made = as_tool(sum_up)
    assert made.spec.name == "sum-up"
    assert made.description == "Add numbers up, each twice."
    assert made.schema["properties"]["numbers"]["description"] == "What to add."
    assert made.check('{"numbers": [1]}') == {"numbers": [1], "note": ""}


async def test_a_task_as_a_tool_is_a_scope_under_its_own_name(harness: OpenHarness) -> None:
    made = as_tool(sum_up, name="add", description="Add up.")

    @task
    async def calling() -> str:
        return made.answer_text(await made.perform("1", made.check('{"numbers": [1, 2]}')))

    async with harness(calling) as h:
        run = await h.trigger(calling)
        assert json.loads(await h.result(run)) == {"number": "", "total": 6.0}
        keys = [one.key for one in await h.journal(run) if one.key]
    assert keys[:3] == ["sum-up#1/double#1", "sum-up#1/double#2", "sum-up#1"]


async def test_with_run_a_task_as_a_tool_is_a_run_of_its_own(harness: OpenHarness) -> None:
    made = as_tool(sum_up, run=True)

    @task
    async def calling() -> str:
        return made.answer_text(await made.perform("1", {"numbers": [4]}))

    async with harness(calling, sum_up) as h:
        run = await h.trigger(calling)
        assert json.loads(await h.result(run)) == {"number": "", "total": 8.0}
        keys = [one.key for one in await h.journal(run) if one.key]
    assert "sum-up.trigger#1" in keys
    assert "double" not in "".join(keys)


async def test_a_task_s_failure_is_told_or_given_to_the_fallback(live: OpenHarness) -> None:
    instead = as_tool(failing, fallback=plain)

    apart = as_tool(failing, run=True)

    @task
    async def calling() -> str:
        with pytest.raises(RunFailed, match="ValueError: no") as caught:
            await apart.perform("1", {"word": "no"})
        assert apart.tells(caught.value)
        return await instead.perform("2", {"word": "yes"})

    async with live(calling, failing) as h:
        assert await h.run(calling) == "yes"


@pytest.mark.parametrize(
    ("one", "options", "said"),
    [
        (sum_up, {"retry": Retry()}, "say that of the task and of its steps"),
        (sum_up, {"name": "sum up"}, "is no name for a tool"),
        (plain, {}, "wanted a task or an agent; a function is a tool by @tool"),
    ],
)
def test_a_task_that_cannot_be_a_tool_is_refused(one: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        as_tool(one, **options)


def test_a_task_has_no_step_of_its_own() -> None:
    with pytest.raises(DefinitionError, match="is a task, which is no step"):
        as_tool(sum_up).step()


# -- schemas of others


async def test_a_tool_of_a_schema_gets_the_json_it_was_checked_by(harness: OpenHarness) -> None:
    weather = Weather()
    forecast = weather.tool((await weather.specs())[0])
    assert isinstance(weather, ToolSource)
    with pytest.raises(ArgumentsRefused, match="/city is required"):
        forecast.check("{}")
    with pytest.raises(ArgumentsRefused, match="/town: there is no such argument; there is city, days"):
        forecast.check('{"city": "Ulm", "town": "Ulm"}')

    @task
    async def calling() -> Any:
        return await forecast.perform("c1", forecast.check('{"city": "Ulm"}'))

    async with harness(calling) as h:
        assert await h.run(calling) == {"of": {"city": "Ulm", "days": 1}, "by": "c1"}


@pytest.mark.parametrize(
    ("schema", "description", "said"),
    [
        ({"type": "string"}, "Say it.", "it is of no object"),
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, "Say it.", "is no JSON Schema"),
        (SCHEMA, " ", "has no description"),
    ],
)
def test_a_schema_that_is_none_is_refused(schema: dict[str, Any], description: str, said: str) -> None:
    async def call(arguments: Any, context: ToolContext[Any]) -> Any: ...

    with pytest.raises(DefinitionError, match=said):
        Tool.of_schema(call, name="x", description=description, schema=schema, origin="source 'x'")


# -- lists


def test_tools_functions_and_tasks_are_collected_by_name_and_sources_apart() -> None:
    weather = Weather()
    given = [look, plain, sum_up, weather]
    assert list(collect(given)) == ["look", "plain", "sum-up"]
    assert sources(given) == (weather,)


def other_look() -> Tool[..., Any]:
    @tool
    async def look(word: str) -> str:
        """Look elsewhere."""
        return word

    return look


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            [look, other_look()],
            r"two tools are named 'look', .*\.look and .*other_look.<locals>.look; give one another",
        ),
        ([plain, plain], "is there twice, as 'plain'; leave one out"),
        (["look"], "found 'look', the name of a tool; wanted the tool itself"),
        ([3], "found 3, a int; wanted the tool itself"),
        ([double], "is a step; write @tool instead of @step"),
        ("look", "wanted a list of tools"),
        (look, "wanted a list of tools"),
        ([Weather], "wanted the tool itself"),
    ],
)
def test_what_is_no_list_of_tools_is_refused(given: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        collect(given)


def test_two_sources_of_one_name_are_refused() -> None:
    with pytest.raises(DefinitionError, match="two sources are named 'weather'"):
        sources([Weather(), Weather()])
