"""Where the source comes from, when it is refused, and what it costs."""

from __future__ import annotations
import __future__

import ast
import asyncio
import builtins
import importlib.util
import linecache
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.assertion.rewrite import rewrite_asserts

from agentflow.errors import DefinitionError, SourceUnavailable
from agentflow.tasks.rewrite import rewrite
from agentflow.tasks.rewriting import source as source_module

if TYPE_CHECKING:
    from types import ModuleType

names: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_noted_or_kept() -> None:
    names.clear()
    source_module._source_in_file.cache_clear()
    source_module._source_in_text.cache_clear()


async def call(name: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    names.append(name)
    return await function(*args, **kwargs)


async def value(name: str, awaitable: Any, /) -> Any:
    names.append(name)
    return await awaitable


def manager(_name: str, function: Any, /) -> Any:
    return function


def rewritten(function: Any) -> Any:
    return rewrite(function, call=call, value=value, manager=manager)


def loaded(path: Path, text: str, *, kept: bytes | None = None) -> ModuleType:
    """The module of `text`; the file then holds `kept`, as if it had changed since the import."""
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("written", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if kept is not None:
        path.write_bytes(kept)
    return module


PLAIN = """\
async def f(x):
    return x

async def main(x=1):
    note = "first"
    return await f(x), note
"""

STALE = {
    "an await more": PLAIN.replace("await f(x)", "await f(await f(x))"),
    "another constant": PLAIN.replace('"first"', '"other"'),
    "a constant of another type": PLAIN.replace('"first"', 'b"first"'),
    "another name": PLAIN.replace("return await f(x)", "return await g(x)"),
    "a parameter more": PLAIN.replace("x=1", "x=1, y=2"),
    "moved by a line": "\n" + PLAIN,
    "gone": "async def f(x):\n    return x\n",
    "no longer async": PLAIN.replace("async def main", "def main").replace("await f(x)", "f(x)"),
    "no longer Python": PLAIN + "def (",
    "null bytes": PLAIN + "\0",
    "empty": "",
}


@pytest.mark.parametrize("text", STALE.values(), ids=STALE)
def test_a_file_that_changed_since_the_import_is_refused(text: str, tmp_path: Path) -> None:
    module = loaded(tmp_path / "written.py", PLAIN, kept=text.encode())
    wanted = r"the awaits of written\.main cannot be made checkpoints: .*written\.py.*; put it in a file"
    with pytest.raises(SourceUnavailable, match=wanted):
        rewritten(module.main)


def test_a_change_beside_the_function_does_not_matter(tmp_path: Path) -> None:
    module = loaded(tmp_path / "written.py", PLAIN, kept=(PLAIN + "\nx = 1\n").encode())
    assert asyncio.run(rewritten(module.main)(3)) == (3, "first")
    assert names == ["f"]


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    module = loaded(tmp_path / "written.py", PLAIN)
    (tmp_path / "written.py").unlink()
    linecache.clearcache()
    with pytest.raises(SourceUnavailable, match=re.escape('or use @task(checkpoint="explicit")')):
        rewritten(module.main)


@pytest.mark.parametrize("filename", ["<string>", "<stdin>", "<frozen written>", "nowhere.py"])
def test_code_that_came_from_no_file_is_refused(filename: str) -> None:
    space: dict[str, Any] = {"__name__": "typed"}
    exec(compile(PLAIN, filename, "exec"), space)
    with pytest.raises(SourceUnavailable, match=f"typed.main .*'{filename}' is not a file"):
        rewritten(space["main"])


def test_a_refusal_is_a_definition_error() -> None:
    assert issubclass(SourceUnavailable, DefinitionError)


def test_a_module_in_a_zip_file_is_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("written_in_zip.py", PLAIN)
    monkeypatch.syspath_prepend(str(tmp_path / "packed.zip"))
    module = importlib.import_module("written_in_zip")
    assert asyncio.run(rewritten(module.main)(3)) == (3, "first")
    assert names == ["f"]


def test_a_cell_of_a_notebook_is_rewritten() -> None:
    filename = "<a cell>"
    linecache.cache[filename] = (len(PLAIN), None, PLAIN.splitlines(keepends=True), filename)
    space: dict[str, Any] = {"__name__": "notebook"}
    exec(compile(PLAIN, filename, "exec"), space)
    assert asyncio.run(rewritten(space["main"])(3)) == (3, "first")
    assert names == ["f"]


def test_a_script_started_by_its_relative_name_is_rewritten(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    imports = "import asyncio\nfrom agentflow.tasks.rewrite import rewrite\n"
    through = "async def call(n, f, *a):\n    print(n)\n    return await f(*a)\n"
    run = "print(asyncio.run(rewrite(main, call=call, value=None, manager=None)()))\n"
    script.write_text(imports + through + PLAIN + run)
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "f\n(1, 'first')\n"


@pytest.mark.parametrize("flag", ["-O", "-OO", "-Xno_debug_ranges"])
def test_the_interpreter_s_switches_do_not_matter(flag: str, tmp_path: Path) -> None:
    script = tmp_path / "switches.py"
    doc = PLAIN.replace("    note", '    "doc"\n    assert x, "x"\n    note')
    script.write_text(
        "import asyncio, sys\nfrom agentflow.tasks.rewrite import rewrite\n"
        "async def call(n, f, *a):\n    return n, await f(*a)\n" + doc
    )
    run = "import asyncio, switches as s; print(asyncio.run(s.rewrite(s.main, call=s.call, value=0, manager=0)()))"
    env = {**os.environ, "PYTHONPATH": f"{Path.cwd()}{os.pathsep}{tmp_path}", "PYTHONDONTWRITEBYTECODE": ""}
    for switches in ([flag], []):  # the second time from the compiled file, where the switch is not part of its name
        done = subprocess.run(
            [sys.executable, *switches, "-c", run], env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout == "(('f', 1), 'first')\n"


def test_a_coding_line_and_a_byte_order_mark_are_heeded(tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    for encoding, head in [("latin-1", "# -*- coding: latin-1 -*-\n"), ("utf-8-sig", "")]:
        text = head + PLAIN.replace("first", "fürst")
        path.write_bytes(text.encode(encoding))
        space: dict[str, Any] = {"__name__": "written"}
        exec(compile(path.read_bytes(), str(path), "exec"), space)
        os.utime(path, ns=(1, len(encoding)))
        assert asyncio.run(rewritten(space["main"])(3)) == (3, "fürst")


def test_future_statements_keep_their_effect(tmp_path: Path) -> None:
    body = PLAIN + "async def typed():\n    def g(x: Undefined): ...\n    await f(1)\n    return g.__annotations__\n"
    module = loaded(tmp_path / "written.py", "from __future__ import annotations\n" + body)
    again = rewritten(module.typed)
    assert asyncio.run(again()) == {"x": "Undefined"}
    assert again.__code__.co_flags & __future__.annotations.compiler_flag
    without = loaded(tmp_path / "without.py", body)
    with pytest.raises(NameError):
        asyncio.run(rewritten(without.typed)())


def test_warnings_of_the_import_are_not_given_again(tmp_path: Path) -> None:
    text = PLAIN.replace('"first"', '"\\d" if x is 1 else 0')
    with pytest.warns(Warning):  # noqa: PT030  which class it is depends on the version of Python
        module = loaded(tmp_path / "written.py", text)
    assert asyncio.run(rewritten(module.main)(2)) == (2, 0)


ASSERTING = """\
async def f(x):
    return x

async def main(x=1):
    limit = 10
    twice = x * 2
    assert await f(x) < limit, f"{x} is too much"
    rest = [await f(n) for n in range(x)]
    if rest:
        assert all(n < limit for n in rest), twice
    return rest
"""


def asserting(path: Path, imported: str, kept: str) -> Any:
    """`main` of `imported`, compiled as pytest compiles a test module, from a file that now holds `kept`."""
    tree = ast.parse(imported)
    rewrite_asserts(tree, imported.encode(), str(path))
    space: dict[str, Any] = {"__name__": "written", "__builtins__": builtins}
    exec(compile(tree, str(path), "exec", dont_inherit=True), space)
    path.write_text(kept)
    return space["main"]


def test_a_task_in_a_test_module_is_rewritten_though_pytest_changed_its_asserts(tmp_path: Path) -> None:
    main = asserting(tmp_path / "written.py", ASSERTING, ASSERTING)
    assert any("@py" in name for name in main.__code__.co_names + main.__code__.co_varnames)
    assert asyncio.run(rewritten(main)(2)) == [0, 1]
    assert names == ["f"] * 3
    with pytest.raises(AssertionError, match="11 is too much"):
        asyncio.run(rewritten(main)(11))


async def test_a_task_in_this_test_module_is_rewritten() -> None:
    async def f(x: int) -> int:
        return x

    async def main(x: int) -> int:
        assert x > 0, "this module's asserts are pytest's"
        return await f(x)

    assert "@pytest_ar" in main.__code__.co_names
    assert await rewritten(main)(3) == 3
    assert names == ["f"]


@pytest.mark.parametrize(
    "change",
    [
        ("range(x)", "range(x + 1)"),
        ("limit = 10", "limit = 11"),
        ("x * 2", "x + 2"),
        ("await f(n)", "await g(n)"),
        ("x=1", "y=1"),
        ("rest:", "x:"),
    ],
    ids=str,
)
def test_asserts_of_pytest_excuse_no_other_difference(change: tuple[str, str], tmp_path: Path) -> None:
    main = asserting(tmp_path / "written.py", ASSERTING, ASSERTING.replace(*change))
    with pytest.raises(SourceUnavailable, match="is not what was imported"):
        rewritten(main)


def test_two_hundred_tasks_of_one_file_parse_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = "".join(f"async def t{n}(f):\n    return await f({n})\n" for n in range(200))
    module = loaded(tmp_path / "written.py", tasks)
    parsed: list[str] = []
    original = source_module._parsed
    monkeypatch.setattr(source_module, "_parsed", lambda *of: parsed.append(of[0]) or original(*of))

    async def f(n: int) -> int:
        return n

    for n in range(200):
        assert (
            asyncio.run(rewritten(getattr(module, f"t{n}"))(f)) == n
            if n % 50 == 0
            else rewritten(getattr(module, f"t{n}"))
        )
    assert parsed == [str(tmp_path / "written.py")]


def test_a_file_written_anew_is_parsed_anew(tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    first = loaded(path, PLAIN)
    rewritten(first.main)
    second = loaded(path, PLAIN.replace("await f(x)", "await f(await f(x))"))
    assert asyncio.run(rewritten(second.main)(3)) == (3, "first")
    assert names == ["f", "f"]


def test_a_function_made_many_times_is_compiled_once(tmp_path: Path) -> None:
    made = "def make(n):\n    async def main(f):\n        return await f(n)\n    return main\n"
    module = loaded(tmp_path / "written.py", made)
    first, second = rewritten(module.make(1)), rewritten(module.make(2))
    assert first.__code__ is second.__code__

    async def f(n: int) -> int:
        return n

    assert (asyncio.run(first(f)), asyncio.run(second(f))) == (1, 2)


def test_statements_nested_too_deeply_are_refused_with_the_remedy(tmp_path: Path) -> None:
    chain = "if x == 0:\n        pass\n" + "".join(f"    elif x == {n}:\n        pass\n" for n in range(1, 900))
    module = loaded(tmp_path / "written.py", f"async def main(x, f):\n    {chain}    return await f(x)\n")
    with pytest.raises(SourceUnavailable, match="nested too deeply"):
        rewritten(module.main)


def test_an_elif_chain_of_two_hundred_is_rewritten(tmp_path: Path) -> None:
    chain = "if x == 0:\n        pass\n" + "".join(f"    elif x == {n}:\n        pass\n" for n in range(1, 200))
    module = loaded(
        tmp_path / "written.py", f"async def main(x):\n    {chain}    return await f(x)\nasync def f(x): return x\n"
    )
    assert asyncio.run(rewritten(module.main)(5)) == 5
