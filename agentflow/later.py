"""Modules that are imported when they are first used: a program pays for what it does, not for what it might do.

Defining a task needs neither a database nor a validator of JSON, and a command that reads needs no web server; to
import them takes many times as long as all else that such a program does.
"""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Later:
    """Stands for a module that is imported when an attribute of it is first asked for."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # whoever looks over a module's names is to import nothing by it
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)  # from now on it is found without coming here
        return value


def later(module: str) -> Any:
    """The module, imported when it is first used. For type checkers and readers, the plain import stands beside it."""
    return Later(module)


def is_imported(module: str) -> bool:
    """Whether anything in this program has imported the module: if not, no value in it is of the module's classes."""
    return module in sys.modules


@contextmanager
def lasting() -> Iterator[None]:
    """What the block imports is taken to stay as long as the program: none of it is searched for garbage, ever.

    The collector would go through all of it again and again while it grows, for a tenth of the time, and once more with
    every full collection. For it modules are objects as any other, so whatever else is there when the block ends is
    left alone too; counting of references frees it all the same.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def names(package: str, modules: Mapping[str, tuple[str, ...]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package whose names are imported when first used; `modules` says from where."""
    places = {name: module for module, found in modules.items() for name in found}
    kept = vars(sys.modules[package])

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        kept[name] = value = getattr(import_module(places[name]), name)
        return value

    def listed() -> list[str]:
        return sorted({*kept, *places})

    return find, listed
