"""The public API is one page: what a package's `__init__` exports, sorted, complete and explained."""

from __future__ import annotations

import inspect
from types import ModuleType


def api_problems(package: ModuleType) -> list[str]:
    """Names that are out of order, public but not listed, listed but absent, or without a word of explanation."""
    listed = list(package.__all__)
    public = {name for name, value in vars(package).items() if not name.startswith("_") and not _incidental(value)}
    problems = [] if listed == sorted(listed) else [f"{package.__name__}.__all__ is not sorted"]
    problems += [f"{name} is public but not in __all__" for name in sorted(public - set(listed))]
    problems += [f"{name} is in __all__ twice" for name in sorted({name for name in listed if listed.count(name) > 1})]
    for name in listed:
        if not hasattr(package, name):
            problems.append(f"{name} is in __all__ and does not exist")
        elif not _explained(package, name):
            problems.append(f"{name} has no docstring, and the package's does not mention it")
    return problems


def _incidental(value: object) -> bool:
    """A submodule, or `annotations` from `__future__`: bound by the import system, not offered."""
    return isinstance(value, ModuleType) or type(value).__module__ == "__future__"


def _explained(package: ModuleType, name: str) -> bool:
    value = getattr(package, name)
    if inspect.isclass(value):
        own = vars(value).get("__doc__") or ""
        return bool(own.strip()) and not own.startswith(f"{value.__name__}(")  # what @dataclass writes for itself
    if inspect.isroutine(value):
        return bool((value.__doc__ or "").strip())
    return f"`{name}`" in (package.__doc__ or "")  # an alias or a constant cannot carry a docstring
