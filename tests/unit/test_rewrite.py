"""What goes through the given callables, under which name, and what of a function stays as it was written."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.errors import DefinitionError
from agentflow.tasks.rewrite import rewrite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Recorder:
    """Notes what is awaited and under which name, and does it."""

    def __init__(self) -> None:
        self.noted: list[Any] = []

    async def call(self, name: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.noted.append((name, args, kwargs))
        return await function(*args, **kwargs)

    async def value(self, name: str, awaitable: Any, /) -> Any:
        self.noted.append(name)
        return await awaitable

    def manager(self, name: str, function: Any, /) -> Any:
        self.noted.append(f"with {name}")
        return function

    def __call__(self, function: Any) -> Any:
        return rewrite(function, call=self.call, value=self.value, manager=self.manager)

    @property
    def names(self) -> list[str]:
        return [each if isinstance(each, str) else each[0] for each in self.noted]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def double(x: int = 1, *rest: int, **named: int) -> int:
    return 2 * x + sum(rest) + sum(named.values())


db = SimpleNamespace(invoices=SimpleNamespace(save=double))


async def test_a_call_is_handed_over_with_its_name_and_all_its_arguments(recorder: Recorder) -> None:
    @recorder
    async def main() -> int:
        return await db.invoices.save(1, *[2, 3], name=4, function=5)

    assert await main() == 16
    assert recorder.noted == [("db.invoices.save", (1, 2, 3), {"name": 4, "function": 5})]


async def test_an_awaited_value_is_handed_over_with_its_source_text(recorder: Recorder) -> None:
    @recorder
    async def main(handle: Any, mapping: dict[str, Any]) -> Any:
        return await handle, await mapping["k"]

    assert await main(double(1), {"k": double(2)}) == (2, 4)
    assert recorder.noted == ["handle", "mapping['k']"]


async def test_arguments_of_a_callee_that_is_a_call_are_left_out_of_the_name(recorder: Recorder) -> None:
    @recorder
    async def main() -> Any:
        await functools.partial(double, 1)(2)
        await (lambda: double)()(3)  # noqa: PLC3002  such a callee is what is tested
        await {"key": [double]}["key"][0](4)
        await {"a very long key that goes on and on": double}["a very long key that goes on and on"](5)

    await main()
    assert recorder.names[:3] == ["functools.partial(...)", "(lambda: double)()", "{'key': [double]}['key'][0]"]
    assert recorder.names[3].startswith("{'a very long key")
    assert len(recorder.names[3]) == 60


async def test_a_context_manager_made_by_a_call_is_handed_over(recorder: Recorder) -> None:
    entered = contextlib.nullcontext("as it is")

    @recorder
    async def main() -> Any:
        async with asyncio.timeout(60) as timeout, entered as text:
            return await double(1), timeout.when() is not None, text

    assert await main() == (2, True, "as it is")
    assert recorder.names == ["with asyncio.timeout", "double"]


async def test_awaits_everywhere_in_the_body_are_checkpoints(recorder: Recorder) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    @recorder
    async def main() -> Any:
        some = [await double(i) for i in range(2)]
        text = f"{await double(4)}"
        async for n in numbers():
            some.append(await double(n))  # noqa: PERF401  an `async for` is what is tested
        if (seen := await double(5)) and (await double(0) or await double(6)):
            some.append(seen)
        match await double(7):
            case 14:
                some.append(await double(8) if some else 0)
        try:
            await double("x", 1)
        except TypeError:
            some.append(await double(9))
        finally:
            await double(10)
        return some, text

    assert await main() == ([0, 2, 2, 10, 16, 18], "8")
    assert [note[1][0] for note in recorder.noted] == [0, 1, 4, 1, 5, 0, 6, 7, 8, "x", 9, 10]


async def test_an_undecorated_nested_function_is_rewritten_and_a_decorated_one_is_not(recorder: Recorder) -> None:
    def decorated(function: Any) -> Any:
        return function

    @recorder
    async def main() -> None:
        async def plain(x: int = await double(1)) -> int:
            return await double(x)

        @decorated
        async def kept(x: int = await double(3)) -> int:
            return await double(x)

        @decorated
        class Kept:
            async def method(self) -> int:
                return await double(9)

        class Plain:
            async def method(self) -> int:
                return await double(10)

        await plain(), await kept(), await Kept().method(), await Plain().method()

    await main()
    noted = ["double 1", "double 3", "plain", "double 2", "kept", "Kept().method", "Plain().method", "double 10"]
    assert [f"{name} {args[0]}" if args else name for name, args, _ in recorder.noted] == noted


async def test_methods_keep_super_the_class_cell_and_private_names(recorder: Recorder) -> None:
    class Base:
        async def greet(self) -> str:
            return "hello"

    class Greeter(Base):
        __private = "private"

        @recorder
        async def greet(self, *, __mangled: int = 1) -> Any:
            return await super().greet(), await self.__secret(), __class__, self.__private, __mangled

        async def __secret(self) -> str:
            return "secret"

        @classmethod
        @recorder
        async def make(cls) -> Any:
            return cls, await double(1)

        @staticmethod
        @recorder
        async def free() -> Any:
            return await double(2)

    assert await Greeter().greet() == ("hello", "secret", Greeter, "private", 1)
    assert recorder.names == ["super().greet", "self.__secret"]
    assert await Greeter.make() == (Greeter, 2)
    assert await Greeter.free() == 4


async def test_a_closure_shares_the_variables_around_it(recorder: Recorder) -> None:
    total = 0

    @recorder
    async def add(n: int) -> int:
        nonlocal total
        total += await late(n)
        return total if n == 0 else await add(n - 1)

    async def late(n: int) -> int:  # assigned after `add` was rewritten
        return n * factor

    factor = 10
    assert await add(2) == 30
    assert total == 30
    assert recorder.names == ["late", "add", "late", "add", "late"]


counter = 0


@pytest.fixture
def _counter_from_zero() -> None:
    globals()["counter"] = 0


@pytest.mark.usefixtures("_counter_from_zero")
async def test_global_statements_keep_their_meaning(recorder: Recorder) -> None:
    @recorder
    async def main() -> None:
        global counter  # noqa: PLW0603  what is tested
        counter += await double(1)

    await main()
    assert counter == 2


async def test_a_function_declared_global_where_it_is_defined_stays_global(recorder: Recorder) -> None:
    global declared_global  # noqa: PLW0603  what is tested

    @recorder
    async def declared_global(n: int) -> int:
        return 0 if n == 0 else await declared_global(n - 1)

    assert await declared_global(2) == 0
    assert declared_global.__code__.co_qualname == "declared_global"


async def test_an_outer_variable_may_be_called_like_the_function_it_is_in(recorder: Recorder) -> None:
    def outer() -> Any:
        outer = 5

        @recorder
        async def main() -> int:
            return await double(outer)

        return main

    assert await outer()() == 10


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters are written so from Python 3.12")
async def test_type_parameters_stay_what_they_are(recorder: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "generic.py"
    path.write_text(
        "def make(double):\n"
        "    class Box[T]:\n"
        "        async def get[U](self, x: U) -> tuple[T, U]:\n"
        "            return T, U, __class__, await double(x)\n"
        "    return Box\n"
    )
    space: dict[str, Any] = {"__name__": "generic"}
    exec(compile(path.read_text(), str(path), "exec", dont_inherit=True), space)
    box = space["make"](double)
    again = recorder(box.get)
    assert again.__type_params__ is box.get.__type_params__
    assert await again(box(), 2) == (*box.__type_params__, *box.get.__type_params__, box, 4)
    assert recorder.names == ["double"]


async def test_everything_a_function_carries_is_the_original_s(recorder: Recorder) -> None:
    default, kw_default = object(), object()

    async def main(a: int, /, b: Any = default, *, c: Any = kw_default, **d: Any) -> tuple[Any, ...]:
        """What it says."""
        return a, b, c, d, await double(1)

    main.note = ["kept"]  # type: ignore[attr-defined]
    again = recorder(main)
    for name in (
        "__name__",
        "__qualname__",
        "__module__",
        "__doc__",
        "__annotations__",
        "__defaults__",
        "__kwdefaults__",
    ):
        assert getattr(again, name) is getattr(main, name), name
    assert again.__globals__ is main.__globals__
    assert again.__dict__ == {"note": main.note}  # type: ignore[attr-defined]
    assert not hasattr(again, "__wrapped__")
    assert inspect.signature(again) == inspect.signature(main)
    assert inspect.iscoroutinefunction(again)
    assert inspect.getsource(again) == inspect.getsource(main)
    assert await again(1) == (1, default, kw_default, {}, 2)
    for name in ("co_filename", "co_firstlineno", "co_name", "co_qualname", "co_varnames", "co_flags"):
        assert getattr(again.__code__, name) == getattr(main.__code__, name), name


async def test_the_callables_cannot_be_reached_by_name_and_are_not_in_the_module(recorder: Recorder) -> None:
    before = set(globals())

    @recorder
    async def main(call: int = 1, value: int = 2, manager: int = 3) -> Any:
        return await double(call), value, manager

    assert await main() == (2, 2, 3)
    assert set(globals()) == before
    assert not any(name.isidentifier() for name in main.__code__.co_freevars if name != "double")


async def test_two_rewritings_of_one_function_have_their_own_callables() -> None:
    def written() -> Any:
        async def main() -> int:
            return await double(1)

        return main

    first, second = Recorder(), Recorder()
    await first(written())()
    await first(written())()
    await second(written())()
    assert (first.names, second.names) == (["double", "double"], ["double"])


async def test_a_function_inside_a_rewritten_one_is_not_rewritten_again(recorder: Recorder) -> None:
    async def main() -> Any:
        async def inner() -> int:
            return await double(1)

        return inner

    inner = await recorder(main)()
    assert recorder(inner) is inner
    with pytest.raises(DefinitionError, match="checkpoints already"):
        Recorder()(inner)


def _wrapped() -> Any:
    async def inner() -> None: ...

    @functools.wraps(inner)
    async def wrapper() -> None:
        await inner()

    return wrapper


async def _generator() -> AsyncIterator[int]:
    yield 1


class _Holder:
    async def method(self) -> None: ...


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda x: double(x + 1), "a lambda"),
        (_generator, "an async generator"),
        (_wrapped, "not async"),
        (_wrapped(), "what another decorator made of it"),
        (_Holder().method, "a bound method"),
        (_Holder, "of type type"),
        (staticmethod(double), "of type staticmethod"),
        (functools.partial(double, 1), "of type partial"),
        (len, "of type builtin_function_or_method"),
    ],
    ids=lambda each: each.replace(" ", "-") if isinstance(each, str) else "",
)
def test_anything_but_an_async_def_is_refused_with_what_was_found(function: Any, found: str) -> None:
    with pytest.raises(DefinitionError, match=f"is {found}.*; a task is an `async def`"):
        Recorder()(function)
