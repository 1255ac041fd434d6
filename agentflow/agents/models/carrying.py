"""An assistant's message as pieces in the order the model gave them, and what of it is kept to be handed back.

Reasoning items and signatures mean something only where they stood: between this text and that call. So the order is
kept with them. Texts and calls are kept once, in the message itself, and only pointed at from here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping  # noqa: TC003  a field of a dataclass
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentflow.agents.messages import Carried, ToolCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.agents.messages import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One of three: `text`, a `call`, or what is the provider's `own`, whole. `extra` is what it said of the others."""

    text: str = ""
    call: ToolCall | None = None
    own: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def carry(pieces: Sequence[Piece], provider: str) -> Carried | None:
    """What has to be kept besides the message's text and calls; None if they say it all."""
    if not any(piece.own or piece.extra for piece in pieces):
        return None
    kept = json.dumps([_kept(piece) for piece in pieces], ensure_ascii=False, separators=(",", ":"))
    return Carried(provider=provider, content=kept)


def _kept(piece: Piece) -> dict[str, Any]:
    if piece.own is not None:
        return {"own": piece.own}
    said: dict[str, Any] = {"call": True} if piece.call else {"text": len(piece.text)}
    return said | ({"extra": piece.extra} if piece.extra else {})


def pieces_of(message: Message, provider: str) -> list[Piece]:
    """The pieces of an assistant's message, with what was kept of this provider; of another's nothing is handed on.

    A message that was changed since no longer fits what was kept: the provider's own then comes first, as it did when
    the model thought before it spoke.
    """
    plain = [Piece(text=message.text)] if message.text else []
    plain += [Piece(call=call) for call in message.calls]
    if message.carried is None or message.carried.provider != provider:
        return plain
    kept = json.loads(message.carried.content)
    fits = sum(one.get("text", 0) for one in kept) == len(message.text)
    if not fits or sum("call" in one for one in kept) != len(message.calls):
        return [Piece(own=one["own"]) for one in kept if "own" in one] + plain
    return _put_back(kept, message)


def _put_back(kept: list[dict[str, Any]], message: Message) -> list[Piece]:
    calls, at = iter(message.calls), 0
    pieces: list[Piece] = []
    for one in kept:
        if "own" in one:
            pieces.append(Piece(own=one["own"]))
        elif "call" in one:
            pieces.append(Piece(call=next(calls), extra=one.get("extra", {})))
        else:
            pieces.append(Piece(text=message.text[at : at + one["text"]], extra=one.get("extra", {})))
            at += one["text"]
    return pieces


def without_last(pieces: list[Piece], kinds: frozenset[str]) -> list[Piece]:
    """The pieces up to the last that is not one of the provider's own of these types: a thought that led nowhere."""
    end = len(pieces)
    while end and (pieces[end - 1].own or {}).get("type") in kinds:
        end -= 1
    return pieces[:end]
