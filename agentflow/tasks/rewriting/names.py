"""What an awaited expression is called in the journal: the words its author used."""

from __future__ import annotations

import ast

LONGEST = 60


def callee_name(callee: ast.expr) -> str:
    """The callee as written, `db.invoices.save`; arguments of inner calls are left out, `fallback(...)`."""
    return _trimmed(_callee(callee))


def operand_name(operand: ast.expr) -> str:
    """The awaited expression as written, on one line."""
    return _trimmed(ast.unparse(operand))


def _callee(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{_callee(value)}.{attr}"
        case ast.Call(func=function, args=[], keywords=[]):
            return f"{_callee(function)}()"
        case ast.Call(func=function):
            return f"{_callee(function)}(...)"
        case _:
            # As a callee, for the parentheses it may need.
            return ast.unparse(ast.Call(node, [], [])).removesuffix("()")


def _trimmed(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
