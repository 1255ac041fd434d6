"""What a docstring says of a function and of its parameters, in any of the three usual styles."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_PARAMETERS: Final = frozenset(
    {"args", "arguments", "parameters", "params", "other parameters", "keyword args", "keyword arguments"}
)
_SECTIONS: Final = _PARAMETERS | frozenset(
    {"returns", "return", "raises", "raise", "yields", "yield", "example", "examples", "note", "notes", "see also"}
    | {"attributes", "references", "warning", "warnings", "warns", "todo", "receives"}
)
_RULE: Final = re.compile(r"-{3,}")
_FIELD: Final = re.compile(r":(?P<word>[a-z]+)(?P<names>(?: +[^:\n]*)?):(?: (?P<text>.*))?$")
_GOOGLE: Final = re.compile(r"\*{0,2}(?P<name>\w+)(?: *\([^)]*\))? *:(?: (?P<text>.*))?$")
_NUMPY: Final = re.compile(r"(?P<name>\*{0,2}\w+(?: *, *\*{0,2}\w+)*)(?: *:.*)?$")


@dataclass(frozen=True, slots=True)
class Described:
    """What a docstring says: of the function, and of its parameters by name."""

    text: str
    parameters: Mapping[str, str]


def described(docstring: str | None) -> Described:
    """The text before the first section, and what Google, NumPy or Sphinx style says of each parameter."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    starts = [place for place in range(len(lines)) if _begins(lines, place)]
    found: dict[str, str] = {}
    for start, end in pairwise([*starts, len(lines)]):
        found |= _said(lines[start:end])
    return Described("\n".join(lines[: starts[0] if starts else None]).strip(), found)


def _begins(lines: Sequence[str], place: int) -> bool:
    """Whether a section or a field begins in this line."""
    line = lines[place].rstrip()
    if _FIELD.match(line):
        return True
    below = lines[place + 1].strip() if place + 1 < len(lines) else ""
    is_titled = line.endswith(":") or bool(_RULE.fullmatch(below))
    return is_titled and line.removesuffix(":").lower() in _SECTIONS


def _said(section: Sequence[str]) -> dict[str, str]:
    """What a section says of parameters."""
    field = _FIELD.match(section[0].rstrip())
    if field is not None:
        names = field["names"].split()
        is_parameter = field["word"] in {"param", "parameter", "arg", "argument", "key", "keyword"} and names
        return {names[-1].lstrip("*"): _joined([field["text"] or "", *section[1:]])} if is_parameter else {}
    if section[0].strip().removesuffix(":").lower() not in _PARAMETERS:
        return {}
    if len(section) > 1 and _RULE.fullmatch(section[1].strip()):
        return dict(_items(section[2:], _NUMPY.match))
    return dict(_items(section[1:], _GOOGLE.match))


def _items(lines: Sequence[str], match: Callable[[str], re.Match[str] | None]) -> Iterator[tuple[str, str]]:
    """Each name with its text: names stand furthest to the left, and what is indented more goes on about them."""
    margin = min((_indent(line) for line in lines if line.strip()), default=0)
    names: list[str] = []
    text: list[str] = []
    for line in lines:
        found = match(line.strip()) if line.strip() and _indent(line) == margin else None
        if found is None:
            text.append(line)
            continue
        yield from ((name, _joined(text)) for name in names)
        names = [name.strip().lstrip("*") for name in found["name"].split(",")]
        text = [found.groupdict().get("text") or ""]
    yield from ((name, _joined(text)) for name in names)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(lines: Sequence[str]) -> str:
    """The lines as one paragraph."""
    return " ".join(" ".join(lines).split())
