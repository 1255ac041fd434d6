"""The source of a function, parsed once per version of its file."""

from __future__ import annotations

import ast
import linecache
import warnings
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from agentflow.tasks.rewriting.compiling import Place, Scope, all_codes

if TYPE_CHECKING:
    from types import CodeType, FunctionType

# Tasks of one file are defined one after the other; a handful of files covers imports that nest.
FILES_KEPT = 16


class Unreadable(Exception):
    """Why a function's source cannot be used, in words that end its author's sentence."""


@dataclass(frozen=True)
class Definition:
    """An `async def` and the classes and functions around it, outermost first."""

    node: ast.AsyncFunctionDef
    around: tuple[Scope, ...]


@dataclass
class Source:
    """One version of one file."""

    filename: str
    tree: ast.Module
    compiled: dict[int, dict[Place, CodeType]] = field(default_factory=dict)
    rewritten: dict[CodeType, CodeType] = field(default_factory=dict)

    @cached_property
    def definitions(self) -> dict[Place, Definition]:
        """Every `async def` by where its code says it begins: the line of its first decorator, or its own."""
        found: dict[Place, Definition] = {}
        to_visit: list[tuple[ast.AST, tuple[Scope, ...]]] = [(self.tree, ())]
        while to_visit:
            node, around = to_visit.pop()
            if isinstance(node, ast.AsyncFunctionDef):
                first_line = node.decorator_list[0].lineno if node.decorator_list else node.lineno
                found[first_line, node.name] = Definition(node, around)
            inside = (*around, node) if isinstance(node, Scope) else around
            # No definition is part of an expression.
            to_visit += [(child, inside) for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
        return found

    def code_at(self, place: Place, features: int) -> CodeType | None:
        """The code of the coroutine function at `place`, compiled from the file as it is.

        `features` are the flags of `__future__` statements, which code in a notebook takes over from earlier cells.
        """
        if features not in self.compiled:
            self.compiled[features] = all_codes(self.tree, self.filename, features)
        return self.compiled[features].get(place)


def source_of(function: FunctionType) -> Source:
    """The parsed file of `function`; raises `Unreadable` where there is none or it does not parse."""
    filename = function.__code__.co_filename
    try:
        stat = Path(filename).stat() if not filename.startswith("<") else None
    except OSError:
        stat = None
    if stat is not None:
        return _source_in_file(filename, stat.st_mtime_ns, stat.st_size)
    # Imported from a zip file, or typed into a notebook.
    text = "".join(linecache.getlines(filename, function.__globals__))
    if not text:
        raise Unreadable(f"its source {filename!r} is not a file that can be read")
    return _source_in_text(filename, text)


@lru_cache(maxsize=FILES_KEPT)
def _source_in_file(filename: str, _modified: int, _size: int) -> Source:
    try:
        # Bytes, so that the parser itself heeds a byte order mark and a coding line.
        return Source(filename, _parsed(filename, Path(filename).read_bytes()))
    except OSError as error:
        raise Unreadable(f"{filename} cannot be read: {error}") from error


@lru_cache(maxsize=FILES_KEPT)
def _source_in_text(filename: str, text: str) -> Source:
    return Source(filename, _parsed(filename, text))


def _parsed(filename: str, text: str | bytes) -> ast.Module:
    with warnings.catch_warnings():
        # The import has shown them already.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text, filename)
        except (SyntaxError, ValueError, RecursionError) as error:
            raise Unreadable(f"{filename} does not parse: {error}") from error
