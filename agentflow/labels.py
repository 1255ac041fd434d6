"""Labels: what a worker has, and what a task needs of the worker that executes it.

A label is a name (`gpu`) or a name with a value (`region=eu`). A need without a value is met by any value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

LABEL: Final = re.compile(r"[A-Za-z][\w.-]{0,62}(?:=[\w.:/-]{1,63})?", re.ASCII)


def labels(given: Any) -> tuple[str, ...]:
    """The labels given, each once and in order; one alone may be given as a text. Raises `InvalidSetting`."""
    every: Iterable[Any] = (given,) if isinstance(given, str) else given
    if not isinstance(every, list | tuple | set | frozenset):
        raise InvalidSetting(f'found {given!r} for labels; wanted a list, such as ["gpu", "region=eu"]')
    for one in every:
        if not isinstance(one, str) or not LABEL.fullmatch(one):
            raise InvalidSetting(
                f'found {one!r} for a label; wanted a name such as "gpu", or a name and a value such as "region=eu"'
            )
    return tuple(sorted(set(every)))


def missing(needs: Iterable[str], has: Collection[str]) -> tuple[str, ...]:
    """Those of the needs that these labels do not meet."""
    names = {one.partition("=")[0] for one in has}
    return tuple(need for need in needs if need not in has and need not in names)
