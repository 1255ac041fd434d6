"""Whether a code object was compiled from the source at hand.

A file may have changed since it was imported, and an import hook may have changed what was compiled from it. One such
change is known and harmless: pytest replaces each `assert` of a test module by statements that report more. Code that
differs in nothing but its asserts is from this source.
"""

from __future__ import annotations

import ast
import dis
import inspect
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    Words = dict[int, set[tuple[str, str]]]

# What pytest calls its own variables; no identifier can be spelled so.
PYTEST_NAMES = "@py"
NAMING = frozenset({*dis.hasname, *dis.haslocal, *dis.hasfree, *dis.hasconst, dis.opmap.get("LOAD_SMALL_INT")})
OPERATORS = frozenset(dis.opmap.get(name) for name in ("BINARY_OP", "COMPARE_OP", "IS_OP", "CONTAINS_OP"))


def is_from(original: CodeType, compiled: CodeType, definition: ast.AsyncFunctionDef) -> bool:
    """Whether `original` is `compiled`, the code of `definition`, or that with pytest's asserts in it."""
    return _comparable(original) == _comparable(compiled) or _differs_by_asserts(original, compiled, definition)


def _comparable(code: CodeType) -> CodeType:
    """The code without its file, columns and lines, which may have been left out of a compiled file."""
    return code.replace(
        co_filename="",
        co_linetable=b"",
        co_flags=code.co_flags & ~inspect.CO_NESTED,
        co_consts=tuple(_comparable(each) if isinstance(each, CodeType) else each for each in code.co_consts),
    )


def _differs_by_asserts(original: CodeType, compiled: CodeType, definition: ast.AsyncFunctionDef) -> bool:
    is_rewritten = any(PYTEST_NAMES in name for code in _all(original) for name in (*code.co_names, *code.co_varnames))
    return is_rewritten and _outline(original) == _outline(compiled) and _same_but_in(definition, original, compiled)


def _outline(code: CodeType) -> tuple[object, ...]:
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    own = tuple(name for name in code.co_varnames if not name.startswith(PYTEST_NAMES))
    return code.co_qualname, code.co_firstlineno, code.co_flags, counts, own, code.co_freevars, code.co_cellvars


def _same_but_in(definition: ast.AsyncFunctionDef, original: CodeType, compiled: CodeType) -> bool:
    asserted: set[int] = set()
    for node in ast.walk(definition):
        if isinstance(node, ast.Assert):
            asserted.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    found, expected = _words(original), _words(compiled)
    lines = (found.keys() | expected.keys()) - asserted
    return all(found.get(line, set()) == expected.get(line, set()) for line in lines)


def _words(code: CodeType) -> Words:
    """The names, constants and operators on each line; jumps are left out, since asserts move what they jump over."""
    words: Words = {}
    for each in _all(code):
        for instruction in dis.get_instructions(each):
            line = instruction.positions.lineno if instruction.positions else None
            if line is not None and instruction.opcode in NAMING:
                words.setdefault(line, set()).update(_written(instruction.argval))
            elif line is not None and instruction.opcode in OPERATORS:
                words.setdefault(line, set()).add((instruction.opname, str(instruction.argval)))
    return words


def _written(argument: Any) -> Iterator[tuple[str, str]]:
    """One instruction may use two names; `None` is left out, since where a function returns it is not in the source."""
    if isinstance(argument, tuple):
        for each in argument:
            yield from _written(each)
    elif argument is not None and not isinstance(argument, CodeType):
        yield type(argument).__name__, repr(argument)


def _all(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all(constant)
