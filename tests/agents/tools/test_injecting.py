"""What a tool is given that no model sees: made for each call, closed after it, in no journal."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import current_thread, main_thread
from typing import Annotated, Any, Self

import pytest

from agentflow import Retry, task
from agentflow.agents import Depends, Tool, ToolContext, tool
from agentflow.errors import DefinitionError, RunFailed
from tests.agents.tools.conftest import OpenHarness

seen: list[str] = []


@pytest.fixture(autouse=True)
def _empty() -> None:
    seen.clear()


class Shop:
    """A live object: nothing that could be recorded."""

    def __init__(self, name: str = "shop") -> None:
        self.name = name
        self.lock = object()


class Closing:
    def __enter__(self) -> Self:
        seen.append("enter class")
        return self

    def __exit__(self, *_: object) -> None:
        seen.append("exit class")


shared = Closing()


async def in_generator() -> AsyncIterator[Shop]:
    seen.append("open")
    try:
        yield Shop()
    finally:
        seen.append("close")


def in_sync_generator() -> Iterator[Shop]:
    assert current_thread() is not main_thread()
    seen.append("open")
    yield Shop()
    seen.append("close")


@asynccontextmanager
async def in_manager() -> AsyncIterator[Shop]:
    seen.append("open")
    yield Shop()
    seen.append("close")


@contextmanager
def in_sync_manager() -> Iterator[Shop]:
    seen.append("open")
    yield Shop()
    seen.append("close")


async def soon() -> Shop:
    return Shop()


def at_once() -> Shop:
    return Shop()


def calling(made: Tool[..., Any], arguments: dict[str, Any], context: Any = None) -> Any:
    @task(id="calling")
    async def calling() -> str:
        return str(await made.perform("call-1", arguments, context))

    return calling


def using(provider: Any) -> Any:
    @tool
    async def buy(what: str, shop: Annotated[Shop, Depends(provider)]) -> str:
        """Buy something."""
        seen.append(f"buy {what} at {shop.name}")
        return what

    return calling(buy, {"what": "pen"})


@pytest.mark.parametrize("provider", [in_generator, in_sync_generator, in_manager, in_sync_manager])
async def test_what_a_provider_opens_is_closed_after_the_call(harness: OpenHarness, provider: Any) -> None:
    calls = using(provider)
    async with harness(calls) as h:
        assert await h.run(calls) == "pen"
    assert seen == ["open", "buy pen at shop", "close"]


@pytest.mark.parametrize("provider", [soon, at_once, lambda: Shop("shop"), Shop])
async def test_a_provider_may_just_give_the_value(harness: OpenHarness, provider: Any) -> None:
    calls = using(provider)
    async with harness(calls) as h:
        assert await h.run(calls) == "pen"
    assert seen == ["buy pen at shop"]


async def test_nothing_of_what_is_injected_is_in_the_journal_or_in_the_schema(live: OpenHarness) -> None:
    @tool
    async def buy(what: str, shop: Annotated[Shop, Depends(in_generator)], ctx: ToolContext[Shop]) -> str:
        """Buy something."""
        return ctx.context.name

    assert set(buy.schema["properties"]) == {"what"}
    calls = calling(buy, {"what": "pen"}, Shop("hidden"))
    async with live(calls) as h:
        run = await h.trigger(calls)
        await h.until_idle()
        [entry] = [one for one in await h.journal(run) if one.operation == "tool"]
    assert "hop" not in (entry.input or "").replace("shop", "hop").replace('"call-1"', "")
    assert entry.input == '[{"call": "call-1", "arguments": {"what": "pen"}}]'


async def test_a_provider_is_called_once_a_call_and_may_want_others_and_the_context(live: OpenHarness) -> None:
    def name(ctx: ToolContext[str]) -> str:
        seen.append("name")
        return f"{ctx.context} {ctx.tool}"

    def shop(name: Annotated[str, Depends(name)]) -> Shop:
        return Shop(name)

    @tool
    def buy(shop: Annotated[Shop, Depends(shop)], name: Annotated[str, Depends(name)]) -> str:
        """Buy something."""
        return f"{shop.name}, {name}"

    calls = calling(buy, {}, "ann")
    async with live(calls) as h:
        assert await h.run(calls) == "ann buy, ann buy"
        assert await h.run(calls) == "ann buy, ann buy"
    assert seen == ["name", "name"]


async def test_what_a_class_makes_is_closed_and_what_a_function_returns_may_be_shared(live: OpenHarness) -> None:
    @tool
    async def buy(own: Annotated[Closing, Depends(Closing)], ours: Annotated[Closing, Depends(lambda: shared)]) -> str:
        """Buy something."""
        seen.append("buy")
        return str(ours is shared)

    calls = calling(buy, {})
    async with live(calls) as h:
        assert await h.run(calls) == "True"
    assert seen == ["enter class", "buy", "exit class"]


async def test_an_error_of_a_provider_is_the_tool_s_failure_and_is_tried_again(live: OpenHarness) -> None:
    def flaky() -> Shop:
        seen.append("open")
        if len(seen) == 1:
            raise OSError("no connection")
        return Shop()

    @tool(retry=Retry(max_attempts=2, min_delay=0))
    async def buy(shop: Annotated[Shop, Depends(flaky)]) -> str:
        """Buy something."""
        return "bought"

    calls = calling(buy, {})
    async with live(calls) as h:
        assert await h.run(calls) == "bought"
    assert seen == ["open", "open"]


async def test_what_is_open_is_closed_when_the_call_fails_and_a_provider_cannot_swallow_it(live: OpenHarness) -> None:
    @contextmanager
    def swallowing() -> Iterator[Shop]:
        try:
            yield Shop()
        except ValueError:
            seen.append("swallowed")

    @tool
    async def buy(shop: Annotated[Shop, Depends(swallowing)]) -> str:
        """Buy something."""
        raise ValueError("sold out")

    calls = calling(buy, {})
    async with live(calls) as h:
        run = await h.trigger(calls)
        with pytest.raises(RunFailed, match="ValueError: sold out"):
            await h.result(run)
    assert seen == ["swallowed"]


async def test_a_direct_call_may_bring_its_own(live: OpenHarness) -> None:
    @tool
    async def buy(what: str, shop: Annotated[Shop, Depends(in_generator)]) -> str:
        """Buy something."""
        return f"{what} at {shop.name}"

    assert await buy("pen", Shop("mine")) == "pen at mine"
    assert await buy("pen") == "pen at shop"  # type: ignore[call-arg]  # it is given what it lacks

    @task(id="direct")
    async def direct() -> str:
        return await buy("pen", Shop("mine"))

    async with live(direct) as h:
        run = await h.trigger(direct)
        assert await h.result(run) == "pen at mine"
        [entry] = [one for one in await h.journal(run) if one.operation == "tool"]
    assert entry.input == '[{"call": "", "arguments": {"what": "pen"}}]'
    assert seen == ["open", "close"]


# -- refused


def wanting(url: str) -> Shop:
    return Shop(url)


def circular(shop: Annotated[Shop, Depends(lambda: 1)]) -> Shop:
    return shop


circular.__annotations__["shop"] = Annotated[Shop, Depends(circular)]


@pytest.mark.parametrize(
    ("provider", "said"),
    [(wanting, "provider wanting takes 'url', which nothing gives"), (circular, "provider circular depends on itself")],
)
def test_a_provider_that_cannot_be_called_is_refused(provider: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):

        @tool
        async def buy(shop: Annotated[Shop, Depends(provider)]) -> str:
            """Buy something."""
            return ""


def test_a_value_is_no_provider_and_two_are_one_too_many() -> None:
    with pytest.raises(DefinitionError, match="wanted a function that gives the value"):
        Depends(Shop())  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="'shop' has 2 providers"):

        @tool
        async def buy(shop: Annotated[Shop, Depends(soon), Depends(at_once)]) -> str:
            """Buy something."""
            return ""
