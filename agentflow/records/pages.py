"""Some of a listing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a listing, newest first; `next_cursor` fetches what follows, None at the end."""

    items: Sequence[T]
    next_cursor: str | None = None
