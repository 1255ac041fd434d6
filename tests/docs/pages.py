"""Pages whose Python is run: what they define becomes a module, and what they claim is tried on a `Harness`.

A fence that begins with `python` defines; one that begins with `python test` is the body of a test: it may await, and
finds `harness`, `client` and `clock` besides what the page defines. `python fragment` is shown and not run.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow.tasks.task import Task
from agentflow.testing import Harness

if TYPE_CHECKING:
    from pathlib import Path

FENCE = re.compile(r"^```(python[^\n]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced piece of Python: what its fence says, its text and the line it begins on."""

    kind: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The Python of the page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1].removeprefix("python").strip(), found[2], text.count("\n", 0, found.start(2)) + 1)
        for found in FENCE.finditer(text)
    ]


def is_run(page: Path) -> bool:
    """Whether the page has something to try."""
    return any(block.kind == "test" for block in blocks(page))


def define(page: Path, folder: Path) -> types.ModuleType:
    """What the page defines, as a module with the page's own line numbers."""
    lines: list[str] = []
    for block in blocks(page):
        if not block.kind:
            lines += [""] * (block.line - 1 - len(lines))
            lines += block.text.splitlines()
    path = folder / f"page_{page.stem.replace('-', '_')}.py"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def attempt(page: Path, block: Block, module: types.ModuleType, *, replay_always: bool) -> None:
    """Run a test block on a harness of its own."""
    padded = "\n" * (block.line - 1) + block.text
    code: Any = compile(padded, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    tasks = [value for value in vars(module).values() if isinstance(value, Task)]
    async with Harness(*tasks, replay_always=replay_always) as harness:
        names = {**vars(module), "harness": harness, "client": harness.client, "clock": harness.clock}
        await types.FunctionType(code, names)()
