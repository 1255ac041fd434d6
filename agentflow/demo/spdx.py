"""SPDX licence expressions: what is one, what it means for an allowed list, and the pattern a form checks."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from license_expression import AND, OR, ExpressionError, ParseError, get_spdx_licensing

if TYPE_CHECKING:
    from collections.abc import Collection

OWN_NAME: Final = "LicenseRef-"  # SPDX's prefix for a licence that is not on its list
LONGEST: Final = 200
_SHAPE: Final = re.compile(r"[A-Za-z0-9.+()\s-]+")
_OWN: Final = re.compile(r"LicenseRef-[0-9A-Za-z.-]+")
_WORDS: Final = re.compile(r"[^\s()]+")


class NotSpdx(ValueError):
    """A text that is no SPDX licence expression; the message says why."""


def canonical(text: str) -> str:
    """The expression as SPDX writes it: `mit or apache-2.0` is `MIT OR Apache-2.0`. Raises `NotSpdx`."""
    return str(_parse(text))


def problem(text: str) -> str:
    """Why this is no SPDX licence expression, or an empty text."""
    try:
        canonical(text)
    except NotSpdx as error:
        return str(error)
    return ""


def is_allowed(expression: str, allowed: Collection[str]) -> bool:
    """Whether somebody who may use the `allowed` licences only may use this: all sides of AND, any side of OR.

    A licence WITH an exception is a licence of its own. Raises `NotSpdx`.
    """
    return _is_allowed(_parse(expression), allowed)


def one_licence(text: str) -> str:
    """The identifier of one licence, as SPDX writes it. Raises `NotSpdx`, also for several joined."""
    tree = _parse(text)
    if isinstance(tree, (AND, OR)):
        raise NotSpdx("it names several licences")
    return str(tree)


def nearest(text: str) -> str:
    """The listed identifiers most like this, as `; did you mean …?`, or an empty text."""
    by_lower = {name.lower(): name for name in _listed()}
    near = get_close_matches(text.lower(), by_lower, n=3)
    return f"; did you mean {' or '.join(by_lower[name] for name in near)}?" if near else ""


@cache
def pattern() -> str:
    """A regular expression of the identifiers of the SPDX list, joined by AND, OR and WITH.

    It refuses every name that is not on the list. What it cannot see (a bracket left open, an exception where a
    licence belongs) `problem` does.
    """
    names = "|".join(re.escape(name).replace(r"\-", "-") for name in sorted(_listed()))
    return rf"^(?:(?:^| (?:AND|OR|WITH) )\(*(?:{names}|LicenseRef-[0-9A-Za-z.-]+)\)*)+$"


@cache
def _licensing() -> Any:
    return get_spdx_licensing()


@cache
def _listed() -> frozenset[str]:
    return frozenset(name for name in _licensing().known_symbols if not name.startswith(OWN_NAME))


def _parse(text: str) -> Any:
    stripped = " ".join(text.split())
    if not stripped:
        raise NotSpdx("it is empty")
    if len(stripped) > LONGEST or not _SHAPE.fullmatch(stripped):
        raise NotSpdx("it is a text, not an expression of SPDX identifiers")
    try:
        tree = _licensing().parse(stripped, strict=True)
    except (ExpressionError, ParseError, AttributeError) as error:  # the library's own slip on an open end
        raise NotSpdx("its identifiers are not joined by AND, OR and WITH as an expression is") from error
    unknown = [name for name in _names(str(tree)) if name not in _listed() and not _OWN.fullmatch(name)]
    if unknown:
        raise NotSpdx(f"not on the SPDX list: {', '.join(unknown)}")
    return tree


def _names(rendered: str) -> list[str]:
    return [word for word in _WORDS.findall(rendered) if word not in ("AND", "OR", "WITH")]


def _is_allowed(tree: Any, allowed: Collection[str]) -> bool:
    if isinstance(tree, AND):
        return all(_is_allowed(side, allowed) for side in tree.args)
    if isinstance(tree, OR):
        return any(_is_allowed(side, allowed) for side in tree.args)
    return str(tree) in allowed
