"""Tokens of the API to be made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token to be kept: its digest, never the token. `scopes` is a JSON list; without `expires_in` it has no end."""

    id: str
    name: str
    digest: str = field(repr=False)
    scopes: str
    created_by: str
    expires_in: timedelta | None = None
