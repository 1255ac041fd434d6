"""Server-sent events out of the bytes of a stream, however they were cut on the way.

Format: html.spec.whatwg.org/multipage/server-sent-events.html. `id` and `retry` are of no use here and passed over, for
nobody takes up a broken answer where it ended.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_ENDS: Final = (b"\n", b"\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its name, "message" where the server gave none, and its lines of data."""

    name: str
    data: str


@dataclass(slots=True)
class EventReader:
    """Takes a stream's bytes as they come. An event without its closing empty line has not come, and is never given."""

    _begun: list[bytes] = field(default_factory=list)
    _name: str = ""
    _lines: list[str] = field(default_factory=list)
    _is_after_cr: bool = False
    _is_first: bool = True

    def feed(self, received: bytes) -> Iterator[Event]:
        """The events these bytes complete. Raises `UnicodeDecodeError` for what is no UTF-8."""
        for line in self._whole_lines(received):
            event = self._take(line)
            if event is not None:
                yield event

    def _whole_lines(self, received: bytes) -> Iterator[bytes]:
        if not received:
            return
        if self._is_after_cr and received.startswith(b"\n"):
            received = received[1:]  # the second half of a CRLF whose first half ended the line before
        self._is_after_cr = received.endswith(b"\r")
        for part in received.splitlines(keepends=True):
            self._begun.append(part)
            if part.endswith(LINE_ENDS):
                whole = b"".join(self._begun).rstrip(b"\r\n")
                self._begun.clear()
                yield whole.removeprefix(codecs.BOM_UTF8) if self._is_first else whole
                self._is_first = False

    def _take(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._lines.append(value)
        elif name == "event":
            self._name = value
        return None

    def _dispatch(self) -> Event | None:
        name, self._name = self._name or "message", ""
        if not self._lines:
            return None
        data = "\n".join(self._lines)
        self._lines.clear()
        return Event(name, data)
