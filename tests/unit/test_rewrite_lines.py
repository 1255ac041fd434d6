"""Tracebacks, debuggers and coverage show the file as its author wrote it."""

from __future__ import annotations

import asyncio
import bdb
import importlib.util
import io
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import coverage

from agentflow.tasks.rewrite import rewrite

if TYPE_CHECKING:
    from types import ModuleType

SOURCE = """\
async def fails(x):
    raise ValueError(x)

async def answer(x):
    return x

async def main(x):
    y = await answer(x)
    if y > 1:
        z = 1 + await answer(
            y
        )
    else:
        z = 0
    async def inner():
        return [n for n in range(z)] + await answer([])
    await inner()
    return  z, (await fails("here"))
"""


async def call(_name: str, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    return await function(*args, **kwargs)


async def value(_name: str, awaitable: Any, /) -> Any:
    return await awaitable


def manager(_name: str, function: Any, /) -> Any:
    return function


def loaded(path: Path) -> ModuleType:
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("written", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def again(path: Path) -> Any:
    return rewrite(loaded(path).main, call=call, value=value, manager=manager)


def failure(function: Any) -> BaseException:
    try:
        asyncio.run(function(2))
    except ValueError as error:
        return error
    raise AssertionError("unreachable")


def own_frames(error: BaseException, path: Path) -> list[tuple[Any, ...]]:
    frames = traceback.extract_tb(error.__traceback__)
    return [
        (each.name, each.lineno, each.end_lineno, each.colno, each.end_colno, each.line)
        for each in frames
        if each.filename == str(path)
    ]


def test_a_traceback_shows_the_original_lines_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    frames = own_frames(failure(again(path)), path)
    assert frames == own_frames(failure(loaded(path).main), path)
    assert frames[0] == ("main", 18, 18, 16, 35, 'return  z, (await fails("here"))')


def test_the_lines_of_the_printed_traceback_are_the_originals(tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    printed = "".join(traceback.format_exception(failure(again(path))))
    assert '    return  z, (await fails("here"))\n                ^^^^^^^^^^^^^^^^^^^\n' in printed


class Debugger(bdb.Bdb):
    def __init__(self) -> None:
        super().__init__()
        self.stops: list[tuple[int, Any]] = []

    def user_line(self, frame: Any) -> None:
        if self.break_here(frame):
            self.stops.append((frame.f_lineno, frame.f_locals.get("z")))
        self.set_continue()


def stops(function: Any, path: Path, lines: list[int]) -> list[tuple[int, Any]]:
    debugger = Debugger()
    for line in lines:
        assert debugger.set_break(str(path), line) is None
    before = sys.gettrace()
    try:
        debugger.runcall(failure, function)
    finally:
        sys.settrace(before)
        debugger.clear_all_breaks()
    return debugger.stops


def test_a_debugger_s_breakpoint_line_is_still_the_line(tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    assert list(dict.fromkeys(stops(again(path), path, [8, 10, 18]))) == [(8, None), (10, None), (18, 3)]
    breakable = [8, 9, 10, 11, 14, 15, 16, 17, 18]
    assert stops(again(path), path, breakable) == stops(loaded(path).main, path, breakable)


def covered(path: Path, *, rewritten: bool) -> tuple[list[int], set[tuple[int, int]]]:
    measured = coverage.Coverage(data_file=None, branch=True, include=[str(path)], config_file=False)
    measured.start()
    try:
        failure(again(path) if rewritten else loaded(path).main)
    finally:
        measured.stop()
    arcs = measured.get_data()
    assert str(path) in arcs.measured_files()
    missing = measured.analysis2(str(path))[3]
    return missing, set(arcs.arcs(str(path)) or [])


def test_coverage_sees_the_same_lines_and_arcs(tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    missing, arcs = covered(path, rewritten=True)
    assert (missing, arcs) == covered(path, rewritten=False)
    assert missing == [14]
    assert (9, 10) in arcs


def test_a_task_that_is_cancelled_shows_where_it_waits(tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    module = loaded(path)
    module.answer = asyncio.sleep

    async def main() -> str:
        waiting = asyncio.create_task(rewrite(module.main, call=call, value=value, manager=manager)(60))
        await asyncio.sleep(0)
        printed = io.StringIO()
        waiting.print_stack(file=printed)
        waiting.cancel()
        return printed.getvalue()

    assert f'File "{path}", line 8, in main' in asyncio.run(main())
