"""A connection pooler, as small as one can be: a client gets a server connection for one transaction, and then another.

What a session would keep is therefore lost or somebody else's: settings, LISTEN, prepared statements by name. In
statement mode a client that opens a transaction is thrown out, as PgBouncer does it.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from tests.support.proxy import CHUNK, WITHIN
from tests.support.wire import CANCEL_REQUEST, Framer, Message, made, refusal, startup_of

if TYPE_CHECKING:
    from collections.abc import Coroutine

NO_TRANSACTIONS = "transaction blocks not allowed in statement pooling mode"


class Pooler:
    """Lends `size` connections of a server to any number of clients of one database."""

    def __init__(self, host: str, port: int, *, size: int = 2, mode: str = "transaction") -> None:
        self.target = (host, port)
        self.size = size
        self.mode = mode
        self.lent = 0
        """How often a client was given a server connection."""
        self.port = 0
        self.clients = 0
        self._free: dict[bytes, asyncio.Queue[_Server | None]] = {}
        self._servers: list[_Server] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pooler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN)
        self._loop.close()

    def url(self, database: str = "postgres") -> str:
        """How to reach a database through it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(WITHIN)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._listener.close()
        for server in self._servers:
            server.writer.close()
        ours = asyncio.current_task()
        rest = [task for task in asyncio.all_tasks() if task is not ours]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.CancelledError):
            code, startup = await startup_of(reader, writer)
            if code != CANCEL_REQUEST:
                await self._serve(startup, _Client(reader, writer))
        writer.close()

    async def _serve(self, startup: bytes, client: _Client) -> None:
        """Let a client in, and lend it a server connection whenever it says something."""
        server = await self._take(startup)
        client.writer.write(server.greeting + self._key() + made("Z", b"I"))
        self._give_back(startup, server)
        while messages := await client.says():
            server = await self._take(startup)
            self.lent += 1
            is_sound = False
            try:
                await self._lend(server, messages, client)
                is_sound = True
            finally:
                self._give_back(startup, server if is_sound else None)

    def _key(self) -> bytes:
        """By what a client would cancel: no process of the server's, since those change."""
        self.clients += 1
        return made("K", struct.pack("!ii", self.clients, 0))

    async def _lend(self, server: _Server, messages: list[Message], client: _Client) -> None:
        """One transaction, from the first message to the reply that says that none is open any more."""
        rounds, is_over = 0, False
        hearing = asyncio.ensure_future(server.reader.read(CHUNK))
        try:
            while not is_over:
                server.writer.write(b"".join(message.raw for message in messages))
                rounds += sum(message.kind in "QS" for message in messages)
                messages = []
                await asyncio.wait((hearing, client.listening), return_when=asyncio.FIRST_COMPLETED)
                if hearing.done():
                    rounds, is_over = server.replied(hearing.result(), rounds, client.writer, self.mode)
                    if not is_over:
                        hearing = asyncio.ensure_future(server.reader.read(CHUNK))
                elif client.listening.done():
                    messages = await client.says()
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def _take(self, startup: bytes) -> _Server:
        if startup not in self._free:
            self._free[startup] = asyncio.Queue()
            for _ in range(self.size):
                self._free[startup].put_nowait(None)
        server = await self._free[startup].get()
        if server is not None and not server.reader.at_eof():
            return server
        try:
            server = _Server(*await asyncio.open_connection(*self.target))
            await server.begin(startup)
        except BaseException:
            self._give_back(startup, None)
            raise
        self._servers.append(server)
        return server

    def _give_back(self, startup: bytes, server: _Server | None) -> None:
        self._free[startup].put_nowait(server)


def _some(received: bytes) -> bytes:
    if not received:
        raise EOFError
    return received


class _Client:
    """One client. It is listened to all the time, so that nothing it says is lost between two transactions."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._framer = Framer()
        self.listening = asyncio.ensure_future(reader.read(CHUNK))

    async def says(self) -> list[Message]:
        """What it says next. Raises `EOFError` once it leaves."""
        found: list[Message] = []
        while not found:
            found = list(self._framer.feed(_some(await self.listening)))
            self.listening = asyncio.ensure_future(self._reader.read(CHUNK))
        if any(message.kind == "X" for message in found):
            raise EOFError
        return found


class _Server:
    """A connection to the server, and whatever its clients left in its session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting = b""
        self._framer = Framer()

    async def begin(self, startup: bytes) -> None:
        """Sign in as the client wants to; what the server says then is every such client's greeting."""
        self.writer.write(startup)
        while True:
            for message in self._framer.feed(_some(await self.reader.read(CHUNK))):
                if message.kind == "Z":
                    return
                if message.kind == "E":
                    raise EOFError
                self.greeting += message.raw if message.kind in "RS" else b""

    def replied(self, received: bytes, rounds: int, writer: asyncio.StreamWriter, mode: str) -> tuple[int, bool]:
        """Pass the reply on: how many rounds are still to be answered, and whether the transaction is over."""
        status = b"T"
        for message in self._framer.feed(_some(received)):
            if message.kind == "Z":
                rounds -= 1
                status = message.body
                if mode == "statement" and status != b"I":
                    writer.write(refusal("08P01", NO_TRANSACTIONS, severity="FATAL"))
                    self.writer.close()
                    raise EOFError
            writer.write(message.raw)
        return rounds, rounds == 0 and status == b"I"
