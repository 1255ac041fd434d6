"""The frontend/backend protocol of PostgreSQL 3.0, as far as something in the middle has to understand it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

SSL_REQUEST: Final = 80877103
GSS_REQUEST: Final = 80877104
CANCEL_REQUEST: Final = 80877102
HEAD: Final = struct.Struct("!ci")
WRITES: Final = re.compile(r"\b(INSERT INTO|UPDATE|DELETE FROM) (ONLY )?agentflow_", re.IGNORECASE)
BEGINS: Final = re.compile(r"\s*(BEGIN|START TRANSACTION)\b", re.IGNORECASE)
COMMITS: Final = re.compile(r"\s*(COMMIT|END)\b", re.IGNORECASE)
ROLLS_BACK: Final = re.compile(r"\s*(ROLLBACK|ABORT)(?! TO\b)", re.IGNORECASE)


class Message(NamedTuple):
    """One message behind the start-up: its kind, and all of its bytes."""

    kind: str
    raw: bytes

    @property
    def body(self) -> bytes:
        return self.raw[HEAD.size :]


class Framer:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> Iterator[Message]:
        """Every message that is complete now."""
        rest = self._rest + received
        at = 0
        while len(rest) - at >= HEAD.size:
            kind, length = HEAD.unpack_from(rest, at)
            if len(rest) - at < length + 1:
                break
            yield Message(kind.decode("ascii"), rest[at : at + length + 1])
            at += length + 1
        self._rest = rest[at:]


async def startup_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
    """The code and all bytes of a client's first message; its wish for encryption is declined."""
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!ii", head)
        raw = head + await reader.readexactly(length - 8)
        if code not in {SSL_REQUEST, GSS_REQUEST}:
            return code, raw
        writer.write(b"N")


def made(kind: str, body: bytes = b"") -> bytes:
    """A message of this kind."""
    return HEAD.pack(kind.encode("ascii"), len(body) + 4) + body


def refusal(sqlstate: str, text: str, *, severity: str = "ERROR") -> bytes:
    """An error as a server words it."""
    fields = (("S", severity), ("V", severity), ("C", sqlstate), ("M", text))
    return made("E", b"".join(name.encode() + value.encode() + b"\0" for name, value in fields) + b"\0")


def raising(sqlstate: str) -> str:
    """A statement that the server refuses with this SQLSTATE."""
    return f"DO $$ BEGIN RAISE EXCEPTION 'brought on by a test' USING ERRCODE = '{sqlstate}'; END $$"


def simple(text: str) -> bytes:
    """A query without parameters."""
    return made("Q", text.encode() + b"\0")


def extended(text: str) -> bytes:
    """The same in three messages; whoever sends it sends a Sync after it."""
    parse = made("P", b"\0" + text.encode() + b"\0" + struct.pack("!h", 0))
    bind = made("B", b"\0\0" + struct.pack("!hhh", 0, 0, 0))
    return parse + bind + made("E", b"\0" + struct.pack("!i", 0))


@dataclass(frozen=True, slots=True)
class Statement:
    """What a client asks for at this moment, and what it has asked for in the same transaction before."""

    text: str
    before: tuple[str, ...]
    is_in_transaction: bool

    @property
    def writes(self) -> bool:
        """Whether it changes one of our tables."""
        return WRITES.search(self.text) is not None

    @property
    def commits(self) -> bool:
        """Whether, once it is done, something of ours may have become durable."""
        if self.is_in_transaction:
            return COMMITS.match(self.text) is not None and any(WRITES.search(text) for text in self.before)
        return self.writes

    @property
    def texts(self) -> str:
        """All of its transaction."""
        return "\n".join((*self.before, self.text))


@dataclass(slots=True)
class Asked:
    """Follows what one client asks for: which text a prepared statement or a portal stands for, and transactions."""

    _prepared: dict[bytes, str] = field(default_factory=dict)
    _portals: dict[bytes, str] = field(default_factory=dict)
    _before: list[str] = field(default_factory=list)
    _is_open: bool = False

    def hear(self, message: Message) -> Statement | None:
        """The statement this message executes, if it executes one."""
        match message.kind:
            case "P":
                name, text, _ = message.body.split(b"\0", 2)
                self._prepared[name] = text.decode()
            case "B":
                portal, name, _ = message.body.split(b"\0", 2)
                self._portals[portal] = self._prepared.get(name, "")
            case "E":
                return self._statement(self._portals.get(message.body.split(b"\0", 1)[0], ""))
            case "Q":
                return self._statement(message.body.rstrip(b"\0").decode())
            case _:
                pass
        return None

    def _statement(self, text: str) -> Statement:
        begins = BEGINS.match(text) is not None
        if begins:
            self._before, self._is_open = [], True
        found = Statement(text, tuple(self._before), is_in_transaction=self._is_open)
        self._before.append(text)
        if COMMITS.match(text) or ROLLS_BACK.match(text) or not self._is_open:
            self._before, self._is_open = [], False
        return found
