"""What another program says of its tools and results, made safe to be shown to people and models.

A description is read by a model as if its owner had written it. So what a person would not see in it is written out:
control characters, marks that turn the direction of text, characters of no width, and the "tag" characters in which
whole sentences can be hidden. And it has an end.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

LONGEST_DESCRIPTION: Final = 2_000
LONGEST_SCHEMA: Final = 30_000
_LONGEST_LINE: Final = 500
_UNSEEN: Final = {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"}
_TOLD: Final = {"description", "title", "$comment"}


def shown(text: str, limit: int = LONGEST_DESCRIPTION) -> str:
    """The text with every character nobody would see written as `<U+…>`, cut at the limit."""
    seen = "".join(
        one if one in "\n\t" or unicodedata.category(one) not in _UNSEEN else f"<U+{ord(one):04X}>"
        for one in text[: limit + 1].replace("\r\n", "\n")
    )
    return seen if len(text) <= limit and len(seen) <= limit else f"{seen[:limit]}… (cut)"


def shown_schema(schema: Any) -> Any:
    """The schema with its words about itself shown in that way."""
    if isinstance(schema, Mapping):
        return {
            name: shown(value, _LONGEST_LINE) if name in _TOLD and isinstance(value, str) else shown_schema(value)
            for name, value in schema.items()
        }
    return [shown_schema(one) for one in schema] if isinstance(schema, list) else schema


def size_of(schema: Any) -> int:
    """How many characters of JSON it is."""
    return len(json.dumps(schema, ensure_ascii=False))


def text_of(content: Any) -> str:
    """The blocks of a tool's answer as one text; of what is no text, what it is and where."""
    return "\n\n".join(filter(None, map(_block, content)))


def _block(block: Any) -> str:
    kind = getattr(block, "type", "")
    if kind == "text":
        return str(block.text)
    if kind in ("image", "audio"):
        return f"[{kind}: {shown(str(block.mime_type), 100)}, {len(block.data) * 3 // 4} bytes, not shown]"
    if kind == "resource_link":
        return f"[resource: {shown(f'{block.name} {block.uri}', _LONGEST_LINE)}]"
    resource = getattr(block, "resource", None)
    if resource is None:
        return f"[{shown(str(kind), 100) or 'content'} of a kind that is not read]"
    text = getattr(resource, "text", None)
    named = f"resource: {shown(str(resource.uri), _LONGEST_LINE)}"
    return f"[{named}]\n{text}" if isinstance(text, str) else f"[{named}, no text, not shown]"
