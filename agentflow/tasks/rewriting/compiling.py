"""From a syntax tree to the code of one function in it, with the scopes it had where it was written."""

from __future__ import annotations
import __future__

import ast
import copy
import inspect
import warnings
from types import CodeType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Place = tuple[int, str]  # the first line and the name of a function, which no two functions of a file share
Scope = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

FEATURES = [getattr(__future__, name) for name in __future__.all_feature_names]
FUTURE_FLAGS: int = sum({each.compiler_flag for each in FEATURES} - {inspect.CO_NESTED})

Copied = TypeVar("Copied", bound=Scope)


def all_codes(tree: ast.Module, filename: str, features: int) -> dict[Place, CodeType]:
    """The code of every coroutine function in `tree`."""
    return {(code.co_firstlineno, code.co_name): code for code in _coroutines(_compiled(tree, filename, features))}


def features_of(code: CodeType) -> int:
    """The flags of the `__future__` statements that `code` was compiled under."""
    return code.co_flags & FUTURE_FLAGS


def code_in_place(
    node: ast.AsyncFunctionDef, around: tuple[Scope, ...], original: CodeType, added: Iterable[str]
) -> CodeType:
    """The code of `node`, compiled inside bare copies of the scopes around it, with the names in `added` free.

    What `original` takes from outside stays free, `__class__` and `self.__private` mean the same class, and names of
    nested functions stay what they were, because the copies have the names and the order of the scopes themselves.
    """
    body: Scope = _without_surroundings(node)
    for scope in reversed(around):
        if isinstance(scope, ast.ClassDef):
            body = _bare(scope, [*_globals_for(scope, body), body])
        else:
            # Bound here and not in `@scope`, where one of the names may be declared global.
            body = _bare(scope, [*_globals_for(scope, body), *_bindings(original.co_freevars), body])
    outermost = around[0].name if around else node.name
    # `global` keeps this function out of the qualified names of all that is in it.
    body = _function("@scope", [ast.Global([outermost]), *_bindings(added), body])
    module = ast.fix_missing_locations(ast.Module([body], []))
    compiled = _compiled(module, original.co_filename, features_of(original))
    place = original.co_firstlineno, original.co_name
    return next(code for code in _coroutines(compiled) if (code.co_firstlineno, code.co_name) == place)


def _compiled(tree: ast.Module, filename: str, features: int) -> CodeType:
    with warnings.catch_warnings():
        # The import has shown them already.
        warnings.simplefilter("ignore")
        return compile(tree, filename, "exec", flags=features, dont_inherit=True)  # type: ignore[no-any-return]


def _coroutines(code: CodeType) -> Iterator[CodeType]:
    if code.co_flags & inspect.CO_COROUTINE:
        yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _coroutines(constant)


def _without_surroundings(node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
    """What runs around a function when it is defined is not compiled again; its decorators' place counts its lines."""
    bare = copy.copy(node)
    bare.args = _without_values(node.args)
    bare.returns = None
    bare.decorator_list = [ast.copy_location(ast.Constant(None), each) for each in node.decorator_list]
    return bare


def _without_values(arguments: ast.arguments) -> ast.arguments:
    def plain(each: ast.arg) -> ast.arg:
        return ast.copy_location(ast.arg(each.arg), each)

    return ast.arguments(
        posonlyargs=[plain(each) for each in arguments.posonlyargs],
        args=[plain(each) for each in arguments.args],
        vararg=plain(arguments.vararg) if arguments.vararg else None,
        kwonlyargs=[plain(each) for each in arguments.kwonlyargs],
        kw_defaults=[None for _ in arguments.kwonlyargs],
        kwarg=plain(arguments.kwarg) if arguments.kwarg else None,
        defaults=[],
    )


def _bare(scope: Copied, body: list[ast.stmt]) -> Copied:
    """A copy with this body and nothing else but its name and, from Python 3.12, its type parameters."""
    bare = copy.copy(scope)
    bare.body = body
    bare.decorator_list = []
    if isinstance(bare, ast.ClassDef):
        bare.bases, bare.keywords = [], []
    else:
        bare.args, bare.returns = _function("f", []).args, None
    return bare


def _globals_for(scope: Scope, child: Scope) -> list[ast.stmt]:
    """`global f` in the scope that defines `f` decides what `f` means in it, and what `f` is called."""
    to_visit: list[ast.AST] = list(scope.body)
    while to_visit:
        node = to_visit.pop()
        if isinstance(node, ast.Global) and child.name in node.names:
            return [ast.Global([child.name])]
        if not isinstance(node, Scope | ast.expr):
            to_visit += ast.iter_child_nodes(node)
    return []


def _bindings(names: Iterable[str]) -> list[ast.stmt]:
    return [ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)) for name in names]


def _function(name: str, body: list[ast.stmt]) -> ast.FunctionDef:
    # Parsed, because which fields a definition must have depends on the version of Python.
    function = ast.parse("def f(): ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    function.name, function.body = name, body
    return function
