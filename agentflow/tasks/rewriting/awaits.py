"""The change itself: a copy of a function's syntax tree in which awaits go through the given callables."""

from __future__ import annotations

import ast
from typing import Final, TypeVar

from agentflow.tasks.rewriting.names import callee_name, operand_name
from agentflow.tasks.rewriting.positions import at_call_of, at_end_of, at_start_of

# No identifier can be spelled like these, so no code can read, shadow or rebind them.
CALL: Final = "@call"
VALUE: Final = "@value"
MANAGER: Final = "@manager"
ADDED: Final = frozenset({CALL, VALUE, MANAGER})

Tree = TypeVar("Tree", bound=ast.AST)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def with_checkpoints(function: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
    """A copy of `function` in which the awaits of its body are checkpoints; `function` itself stays as it was.

    Its decorators, defaults and annotations belong to the code around it and are copied as they are.
    """
    rewriter = _Rewriter()
    changed = rewriter.copied(function, untouched=frozenset(function._fields))
    changed.body = [rewriter.visit(statement) for statement in function.body]
    return changed


class _Rewriter(ast.NodeVisitor):
    """Each visit returns a new node; what is inside a decorated definition is shared with the original tree."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        return self.copied(node)

    def copied(self, node: Tree, untouched: frozenset[str] = frozenset()) -> Tree:
        # One loop, not a function per field: a long elif chain is a deep tree, and each level costs two frames.
        fields = {}
        for name, value in ast.iter_fields(node):
            if name in untouched:
                fields[name] = value
            elif isinstance(value, list):
                fields[name] = items = []
                for item in value:
                    items.append(self.visit(item) if isinstance(item, ast.AST) else item)  # noqa: PERF401  a frame less
            else:
                fields[name] = self.visit(value) if isinstance(value, ast.AST) else value
        return ast.copy_location(type(node)(**fields), node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        operand = node.value
        if isinstance(operand, ast.Call):
            inner = self.copied(operand)
            name = at_start_of(ast.Constant(callee_name(operand.func)), operand)
            through = at_start_of(ast.Name(CALL, ast.Load()), operand)
            call = at_call_of(ast.Call(through, [name, inner.func, *inner.args], inner.keywords), operand)
        else:
            name = at_start_of(ast.Constant(operand_name(operand)), operand)
            through = at_start_of(ast.Name(VALUE, ast.Load()), operand)
            call = ast.copy_location(ast.Call(through, [name, self.visit(operand)], []), node)
        return ast.copy_location(ast.Await(call), node)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        copy = self.copied(node)
        for original, item in zip(node.items, copy.items, strict=True):
            if isinstance(original.context_expr, ast.Call) and isinstance(item.context_expr, ast.Call):
                at_call_of(item.context_expr, original.context_expr)
                item.context_expr.func = _managed(original.context_expr, item.context_expr.func)
        return copy

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._definition(node)

    def _definition(self, node: Function | ast.ClassDef) -> ast.AST:
        """Decorators, bases and defaults are awaited by the code around; only the body belongs to a decorator."""
        return self.copied(node, untouched=frozenset({"body"} if node.decorator_list else ()))


def _managed(original: ast.Call, function: ast.expr) -> ast.Call:
    name = at_start_of(ast.Constant(callee_name(original.func)), original)
    through = at_start_of(ast.Name(MANAGER, ast.Load()), original)
    return at_end_of(ast.Call(through, [name, function], []), original.func)
