"""Each snippet runs as written and rewritten: same result, same effects in the same order, same lines, same columns."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.tasks.rewrite import rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import CodeType, FunctionType, ModuleType

PRELUDE = """\
import asyncio
import contextlib
import functools
log = []
def note(x):
    log.append(x)
    return x
async def g(*args, **kwargs):
    log.append(("g", args, kwargs))
    return args[0] if args else None
async def boom(x="boom"):
    raise ValueError(x)
class Thing:
    async def get(self, x=0, **kw):
        log.append(("get", x, kw))
        return x
    def also(self):
        return self
    def __getitem__(self, key):
        note(key)
        return g
    def __await__(self):
        return g("awaited").__await__()
    @property
    def it(self):
        note("it")
        return self
@contextlib.asynccontextmanager
async def opened(x):
    log.append(("open", x))
    yield x
    log.append(("close", x))
async def ticks(n):
    for i in range(n):
        yield i
thing = Thing()
"""

SNIPPETS = {
    "a call": "return await g(1)",
    "no await": "return 1",
    "arguments of every kind": "return await g(note(1), *[note(2)], k=note(3), **{'d': note(4)})",
    "an await in an argument": "return await g(await g(1), k=await g(2))",
    "an awaited await": "async def h():\n    return g(3)\nreturn await (await h())",
    "a variable": "handle = g(1)\nreturn await handle",
    "a task": "return await asyncio.create_task(g(1))",
    "an object with __await__": "return await thing",
    "a conditional operand": "return await (g(1) if note(0) else g(2))",
    "a conditional over lines": "return await (\n    g(1)\n    if note(0)\n    else g(2)\n)",
    "a variable over lines": "handle = g(1)\nreturn await (\n    handle\n)",
    "a conditional callee over lines": "return await (\n    g\n    if note(0)\n    else thing.get\n)(\n    1\n)",
    "an attribute chain over lines": (
        "return await (\n    thing\n    .also()\n    .it\n    .get(\n        1,\n        k=2,\n    )\n)"
    ),
    "a chain with unpacked arguments": "return await (\n    thing\n    .also()\n    .get(\n        *[1],\n    )\n)",
    "a chain with many arguments": "x = 1\nreturn await (\n    thing\n    .get(x, "
    + ", ".join(f"a{n}=x" for n in range(40))
    + ")\n)",
    "a chain with unpacked keywords": "return await (\n    thing\n    .also()\n    .get(\n        **{},\n    )\n)",
    "an awaited attribute over lines": "return await (\n    thing\n    .it\n    .it\n)",
    "arguments over lines": "x = await g(\n    note(1),\n    note(2),\n)\nreturn x",
    "a subscript": "return await thing['key'](1)",
    "a call of a call": "return await functools.partial(g, 1)(2)",
    "a walrus": "if (x := await g(1)) and (y := await g(2)):\n    return x, y",
    "an awaited walrus": "return await (x := g(1)), x.cr_running",
    "list comprehension": "return [await g(i) for i in range(3) if await g(i)]",
    "set and dict comprehensions": "return {await g(1) for _ in 'a'}, {await g(i): await g(2) for i in 'ab'}",
    "nested comprehension": "return [[await g(i + j) for i in range(2)] for j in range(2)]",
    "generator expression": "return [x async for x in (await g(i) for i in range(2))]",
    "async comprehension": "return [await g(i) async for i in ticks(3)]",
    "f-string": "return f'{await g(1)} and {await g(2)!r:>{await g(4)}}'",
    "boolean operators": "return await g(0) or await g(2) and await g(3)",
    "comparison": "return await g(1) < await g(2) < await g(0) < await g(9)",
    "conditional expression": "return await g(1) if await g(0) else await g(2)",
    "tuple and star": "return *(await g([1])), await g(2)",
    "subscript store": "d = {}\nd[await g('k')] = await g('v')\nreturn d",
    "augmented": "x = 1\nx += await g(2)\nreturn x",
    "annotated": "x: 'int' = await g(2)\nreturn x",
    "del": "d = {1: 2}\ndel d[await g(1)]\nreturn d",
    "assert": "assert await g(1), await g('unused')\nassert await g(0), await g('message')",
    "default of a nested function": "def f(a=await g(1), *, k=await g(2)):\n    return a, k\nreturn f()",
    "default of a lambda": "return (lambda a=await g(1): a)()",
    "nested async def": "async def f(x):\n    return await g(x)\nreturn await f(await f(1))",
    "nested recursion": "async def f(n):\n    return 0 if n == 0 else await f(n - 1)\nreturn await f(3)",
    "nested class": (
        "class K:\n    async def m(self):\n        return await g(__class__.__name__)\nreturn await K().m()"
    ),
    "decorated nested": "@note\nasync def f():\n    return await g(1)\nlog.pop()\nreturn await f()",
    "decorator that awaits": (
        "def same(f):\n    return f\n@(await g(note and same))\ndef f():\n    return 1\nreturn f()"
    ),
    "nested async generator": "async def n():\n    yield await g(1)\nreturn [x async for x in n()]",
    "base class": "class K(await g(dict), metaclass=await g(type)):\n    pass\nreturn K(a=1)",
    "if elif else": "if await g(0):\n    pass\nelif await g(0):\n    pass\nelse:\n    return await g(3)",
    "while else": "n = 2\nwhile await g(n):\n    n -= 1\nelse:\n    n = await g(7)\nreturn n",
    "for": "total = 0\nfor i in await g([1, 2]):\n    total += await g(i)\nreturn total",
    "async for": "total = 0\nasync for i in ticks(await g(3)):\n    total += await g(i)\nreturn total",
    "break and continue": (
        "for i in range(4):\n    if await g(i) == 1:\n        continue\n    if i == 2:\n        break\nreturn i"
    ),
    "try except else finally": (
        "try:\n    await boom()\nexcept ValueError as e:\n    await g(str(e))\nelse:\n"
        "    note('no')\nfinally:\n    await g('f')"
    ),
    "return through finally": "try:\n    return await g(1)\nfinally:\n    await g(2)",
    "an error in an argument": "await g(1 / note(0))",
    "an error in a callee": "await thing.missing(note(1))",
    "an error over lines": "await g(\n    1,\n    1 / 0,\n)",
    "raise from": "try:\n    await boom()\nexcept ValueError as e:\n    raise KeyError(await g(1)) from e",
    "except star": (
        "try:\n    raise ExceptionGroup('', [ValueError(1), KeyError(2)])\n"
        "except* ValueError:\n    await g(1)\nexcept* KeyError:\n    await g(2)"
    ),
    "match": "match await g({'k': [1, 2]}):\n    case {'k': [x, *rest]} if await g(rest):\n        return await g(x)",
    "async with": "async with opened(note(1)) as x:\n    return await g(x)",
    "async with over lines": (
        "async with (\n    opened(1) as x,\n    opened(\n        await g(2)\n    ) as y,\n):\n"
        "    note((x, y))\nreturn 1"
    ),
    "async with a variable": "manager = opened(1)\nasync with manager as x:\n    note(x)",
    "async with an awaited": "async with await g(opened(1)) as x:\n    note(x)",
    "async with a method chain": (
        "import types\nspace = types.SimpleNamespace(opened=opened)\nasync with (\n    space\n"
        "    .opened(\n        1,\n    )\n):\n    note(2)"
    ),
    "with": "with contextlib.suppress(await g(ValueError)):\n    await boom()",
    "timeout": "async with asyncio.timeout(60):\n    return await g(1)",
    "gather": "return await asyncio.gather(g(1), g(2))",
    "global": "global total\ntotal = await g(5)\nreturn total",
    "nonlocal": "n = 1\nasync def f():\n    nonlocal n\n    n = await g(n + 1)\nawait f()\nreturn n",
    "unicode": "ÿ = thing\nreturn await (\n    ÿ\n    .get('日本')\n), await g('é', ÿ=1)",
    "locals": "x = await g(1)\nreturn locals()['x']",
    "a constant chain": "return await g(1) if True else await g(2)",
    "a lambda callee": "return await (lambda x: g(x))(1)",
}
if sys.version_info < (3, 13):  # later versions refuse an `await` there
    SNIPPETS["annotation of a nested function"] = "def f(a: await g(1)) -> await g(2): ...\nreturn f.__annotations__"

# A line of the same statement is come to once more than in the original: see `positions.py`.
ONE_STOP_MORE = {
    # The name and the callee are put in a list before the first `*`, at the line the call begins on.
    SNIPPETS["a chain with unpacked arguments"],
    # Until Python 3.12 the callee's own call begins at the line that it ends on.
    SNIPPETS["async with a method chain"],
}


class Written:
    """The snippet as a module of its own, and what running its `main` did."""

    def __init__(self, folder: Path, body: str) -> None:
        self.path = folder / "snippet.py"
        indented = "".join(f"    {line}\n" for line in body.split("\n"))
        self.path.write_text(f"{PRELUDE}async def main():\n{indented}", encoding="utf-8")

    def module(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("snippet", self.path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def ran(self, change: Callable[[Any], Any]) -> tuple[str, list[Any], list[int]]:
        """The outcome, the effects, and the line events of the snippet's own frames."""
        module = self.module()
        main = change(module.main)
        lines: list[int] = []

        def trace(frame: Any, event: str, _: object) -> Any:
            if frame.f_code.co_filename != str(self.path):
                return None
            if event == "line":
                lines.append(frame.f_lineno)
            return trace

        before = sys.gettrace()
        with asyncio.Runner() as runner:
            runner.get_loop()
            try:
                outcome = repr(runner.run(_traced(main, trace)))
            except Exception as error:  # noqa: BLE001  whatever the snippet raises is its outcome
                own = error.__traceback__
                while own and own.tb_frame.f_code.co_name != "main":
                    own = own.tb_next
                place = own and list(own.tb_frame.f_code.co_positions())[own.tb_lasti // 2]
                outcome = f"{error!r} at {place} because of {error.__cause__!r}"
            finally:
                sys.settrace(before)
        return outcome, [re.sub(" at 0x[0-9a-f]+", "", repr(each)) for each in module.log], lines


async def _traced(main: Callable[[], Any], trace: Any) -> Any:
    sys.settrace(trace)
    return await main()


async def through_call(_name: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    return await function(*args, **kwargs)


async def through_value(_name: str, value: Any, /) -> Any:
    return await value


def through_manager(_name: str, function: Any, /) -> Any:
    return function


def rewritten(function: FunctionType) -> Any:
    return rewrite(function, call=through_call, value=through_value, manager=through_manager)


def codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if hasattr(constant, "co_consts"):
            yield from codes(constant)


def positions(code: CodeType) -> set[tuple[int | None, ...]]:
    """The position of every instruction that has one; those that copy free variables have none."""
    return {place for each in codes(code) for place in each.co_positions() if None not in place}


@pytest.mark.parametrize("body", SNIPPETS.values(), ids=SNIPPETS)
def test_a_rewritten_function_does_what_the_original_does(body: str, tmp_path: Path) -> None:
    written = Written(tmp_path, body)
    again, original = written.ran(rewritten), written.ran(lambda main: main)
    assert again[:2] == original[:2]
    if body in ONE_STOP_MORE:
        assert set(again[2]) == set(original[2])
    else:
        assert again[2] == original[2]


@pytest.mark.parametrize("body", SNIPPETS.values(), ids=SNIPPETS)
def test_no_instruction_has_a_position_the_original_lacks(body: str, tmp_path: Path) -> None:
    original = Written(tmp_path, body).module().main
    again = rewritten(original).__code__
    assert again.co_flags == original.__code__.co_flags
    assert positions(again) == positions(original.__code__)
    assert [code.co_qualname for code in codes(again)] == [code.co_qualname for code in codes(original.__code__)]
