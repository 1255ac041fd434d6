"""Where the compiler puts the instructions of an expression, so that added ones fire no line event of their own.

A debugger stops, and coverage counts, when the line *changes* from one instruction to the next. What is added before an
expression must therefore sit where that expression's first instruction sits, which is not always where its text begins:
`a if c else b` begins with `a` and runs `c` first.
"""

from __future__ import annotations

import ast
import sys
from typing import TypeVar

Node = TypeVar("Node", bound=ast.expr)

# A call with more arguments than this is compiled without the method shortcut (STACK_USE_GUIDELINE of the compiler).
MOST_ARGUMENTS_OF_A_METHOD_CALL = 30
# Until Python 3.12 a call begins with an instruction of its own, placed where the text of its callee begins.
CALL_BEGINS_AT_CALLEE = sys.version_info < (3, 13)


def at_start_of(node: Node, expression: ast.expr) -> Node:
    """`node`, placed where the first instruction of `expression` is."""
    return ast.copy_location(node, _first(expression))


def at_call_of(node: Node, call: ast.Call) -> Node:
    """`node`, placed where the call instruction of `call` is: a method call on a later line belongs to that line."""
    ast.copy_location(node, call)
    if _is_method_call(call):
        _start_at_attribute(node, call.func)
    return node


def at_end_of(node: Node, expression: ast.expr) -> Node:
    """`node`, placed where the last instruction of `expression` is."""
    if isinstance(expression, ast.Call):
        return at_call_of(node, expression)
    ast.copy_location(node, expression)
    _start_at_attribute(node, expression)
    return node


def _first(expression: ast.expr) -> ast.expr:
    inner = _evaluated_first(expression)
    if inner is None:
        return expression
    first = _first(inner)
    if CALL_BEGINS_AT_CALLEE and isinstance(expression, ast.Call) and not _is_method_call(expression):
        return first if first.lineno == inner.lineno else inner
    return first


def _evaluated_first(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.IfExp(test=inner) | ast.BinOp(left=inner) | ast.Compare(left=inner) | ast.Call(func=inner):
            return inner
        case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Await(value=inner):
            return inner
        case ast.NamedExpr(value=inner) | ast.UnaryOp(operand=inner) | ast.BoolOp(values=[inner, *_]):
            return inner
        case _:
            return None


def _is_method_call(call: ast.Call) -> bool:
    names = [keyword.arg for keyword in call.keywords]
    arguments = len(call.args) + len(names) + bool(names)
    is_unpacked = None in names or any(isinstance(each, ast.Starred) for each in call.args)
    return isinstance(call.func, ast.Attribute) and not is_unpacked and arguments < MOST_ARGUMENTS_OF_A_METHOD_CALL


def _start_at_attribute(node: ast.expr, expression: ast.expr) -> None:
    """What the compiler itself does when an attribute's name is not on the line its expression begins on."""
    line, column = expression.end_lineno, expression.end_col_offset
    if not isinstance(expression, ast.Attribute) or line is None or column is None or node.lineno == line:
        return
    node.lineno = line
    node.col_offset = max(column - len(expression.attr), 0)
