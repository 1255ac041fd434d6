"""A TCP proxy between agentflow and PostgreSQL that can do what networks, poolers and dying servers do.

It runs on a thread of its own, so that a test may be synchronous or not. The weather (`latency`, `bandwidth`,
`silence`, `refuse`, `reset`) is everybody's; a `Rule` strikes single statements, wherever they come from.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Self

from tests.support.clusters import free_port, give_back
from tests.support.wire import (
    CANCEL_REQUEST,
    Asked,
    Framer,
    Message,
    Statement,
    extended,
    raising,
    refusal,
    simple,
    startup_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

CHUNK = 65536
LINGER = struct.pack("ii", 1, 0)
WITHIN = 60.0


class Act(Enum):
    """What befalls a statement."""

    RESET = auto()
    """It never reaches the server: both ends of its connection are reset."""
    SWALLOW = auto()
    """The server does it, and the client never hears: its connection is reset once the reply has come."""
    DISOWN = auto()
    """As `SWALLOW`, but the client is told an error in the reply's place, as by a pooler that lost its server."""
    FAIL = auto()
    """The server refuses it, with the rule's SQLSTATE."""
    HUSH = auto()
    """The connection stays and carries nothing any more, neither way; nobody is told."""


@dataclass(slots=True)
class Rule:
    """Strikes the statements that match, after the first `skip` of them, `times` times."""

    match: Callable[[Statement], bool]
    act: Act
    sqlstate: str = ""
    skip: int = 0
    times: int = 1
    seen: int = 0
    struck: list[Statement] = field(default_factory=list)

    def strikes(self, statement: Statement) -> bool:
        """Whether it is this statement's turn."""
        if not self.match(statement):
            return False
        self.seen += 1
        if self.seen <= self.skip or len(self.struck) >= self.times:
            return False
        self.struck.append(statement)
        return True


class Proxy:
    """Listens on a port of this machine, and forwards to a server."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.latency = 0.0
        """Seconds that a round trip takes longer."""
        self.bandwidth = 0.0
        """Bytes per second each way of each connection; 0 for as many as there are."""
        self.is_silent = False
        self.rules: list[Rule] = []
        self.counts: dict[str, int] = {"connections": 0, "statements": 0, "cancels": 0}
        self.statements: deque[str] = deque(maxlen=5000)
        self._tunnels: set[_Tunnel] = set()
        self._resets = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._listener: asyncio.Server | None = None
        self.port = free_port()

    def __enter__(self) -> Self:
        self._thread.start()
        self.accept()
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN)
        self._loop.close()
        give_back(self.port)

    def url(self, database: str = "postgres") -> str:
        """How to reach a database through it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    # -- weather

    @property
    def open(self) -> int:
        """How many connections go through it at this moment."""
        return len(self._tunnels)

    def refuse(self) -> None:
        """Refuse new connections, as a machine on which nobody listens does."""
        self._do(self._refuse())

    def accept(self) -> None:
        """Take connections again, on the same port."""
        self._do(self._accept())

    def reset(self) -> int:
        """Reset every connection; how many there were."""
        count: int = self._do(self._reset())
        return count

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self.refuse()
        self.reset()

    def silence(self) -> None:
        """Carry nothing any more, neither way; connections are accepted and lead nowhere."""
        self.is_silent = True

    def speak(self) -> None:
        """Carry everything again, what was said meanwhile too."""
        self.is_silent = False

    def strike(
        self,
        match: Callable[[Statement], bool],
        act: Act,
        sqlstate: str = "",
        *,
        skip: int = 0,
        times: int = 1,
    ) -> Rule:
        """Add a rule; the first that strikes a statement is the only one."""
        rule = Rule(match, act, sqlstate, skip, times)
        self.rules.append(rule)
        return rule

    # -- on the thread

    def _do(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(WITHIN)

    async def _accept(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _reset(self) -> int:
        found = list(self._tunnels)
        self._resets += 1
        for tunnel in found:
            tunnel.reset()
        await asyncio.sleep(0)  # the loop closes their sockets in its next round: whoever asked finds them closed
        return len(found)

    async def _end(self) -> None:
        await self._refuse()
        await self._reset()
        ours = asyncio.current_task()
        rest = [task for task in asyncio.all_tasks() if task is not ours]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connections"] += 1
        begun = self._resets
        client = _End(reader, writer)
        try:
            code, raw = await startup_of(reader, writer)
            await self.quiet()
            server = _End(*await asyncio.open_connection(*self.target))
        except (OSError, asyncio.IncompleteReadError):
            client.reset()
            return
        except asyncio.CancelledError:  # the proxy ends, and a connection task must not tell of it
            client.reset()
            return
        if begun != self._resets:  # it was being made when every connection was reset
            client.reset()
            server.reset()
            return
        self.counts["cancels"] += code == CANCEL_REQUEST
        server.writer.write(raw)
        tunnel = _Tunnel(self, client, server)
        self._tunnels.add(tunnel)
        with suppress(asyncio.CancelledError):
            await tunnel.carry()
        self._tunnels.discard(tunnel)

    async def quiet(self) -> None:
        """Return once something is carried."""
        while self.is_silent:  # noqa: ASYNC110  another thread makes it loud again
            await asyncio.sleep(0.01)


class _End:
    """One end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reset(self) -> None:
        """Close it with RST in place of FIN, and lose what is under way."""
        found = self.writer.get_extra_info("socket")
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        self.writer.transport.abort()


REPLIES = {"P": "1", "B": "2", "E": "C", "Q": "Z", "S": "Z"}
"""Which reply answers which message. A reply of "C" may also be "I" or "s"; "Z" ends a round."""


@dataclass(slots=True)
class _Due:
    """A reply to come: whether only the proxy knows of it, and whether it ends what a rule struck."""

    kind: str
    is_ours: bool = False
    ends: bool = False


class _Tunnel:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: _End, server: _End) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.asked = Asked()
        self.due: deque[_Due] = deque()
        self.striking: Rule | None = None
        """The rule whose statement the server is doing: its client hears nothing any more."""
        self.awaits_end = False
        self.is_hushed = False

    async def carry(self) -> None:
        """Carry both ways until either end closes."""
        ways = [
            asyncio.ensure_future(self._one_way(self.client, self.server, self._from_client)),
            asyncio.ensure_future(self._one_way(self.server, self.client, self._from_server)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (self.client, self.server):
                end.writer.close()

    def reset(self) -> None:
        """Reset both ends."""
        self.client.reset()
        self.server.reset()

    async def _one_way(self, source: _End, target: _End, change: Callable[[Message], bytes]) -> None:
        framer = Framer()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.ensure_future(self._send(target, under_way))
        loop = asyncio.get_running_loop()
        try:
            with suppress(OSError):
                while received := await source.reader.read(CHUNK):
                    changed = b"".join([change(message) for message in framer.feed(received)])
                    if changed:
                        under_way.put_nowait((loop.time() + self.proxy.latency / 2, changed))
            under_way.put_nowait((0.0, b""))
            await sending
        finally:
            sending.cancel()

    async def _send(self, target: _End, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            at, sent = await under_way.get()
            if not sent:
                return
            await asyncio.sleep(max(0.0, at - loop.time()))
            await self.proxy.quiet()
            if self.is_hushed:
                await asyncio.Event().wait()
            if self.proxy.bandwidth:
                await asyncio.sleep(len(sent) / self.proxy.bandwidth)
            with suppress(OSError):
                target.writer.write(sent)
                await target.writer.drain()

    def _from_client(self, message: Message) -> bytes:
        """What to forward in place of this message."""
        statement = self.asked.hear(message)
        forwarded = message.raw
        if statement is not None:
            self.proxy.counts["statements"] += 1
            self.proxy.statements.append(statement.text)
            rule = next((rule for rule in self.proxy.rules if rule.strikes(statement)), None)
            if rule is not None:
                forwarded = self._struck(rule, message)
        if message.kind in REPLIES:
            self.due.append(_Due(REPLIES[message.kind]))
            self._see_what_ends_it(statement)
        return forwarded

    def _struck(self, rule: Rule, message: Message) -> bytes:
        match rule.act:
            case Act.RESET:
                self.reset()
                return b""
            case Act.HUSH:
                self.is_hushed = True
                return b""
            case Act.FAIL if message.kind == "Q":
                return simple(raising(rule.sqlstate))
            case Act.FAIL:
                self.due += [_Due("1", is_ours=True), _Due("2", is_ours=True)]
                return extended(raising(rule.sqlstate))
            case _:
                self.striking, self.awaits_end = rule, True
                return message.raw

    def _see_what_ends_it(self, statement: Statement | None) -> None:
        """A COMMIT is done when the server says so; a statement that is its own transaction, when its round ends."""
        due = self.due[-1]
        if self.awaits_end and (due.kind == "Z" or (statement is not None and statement.is_in_transaction)):
            due.ends, self.awaits_end = True, False

    def _from_server(self, message: Message) -> bytes:
        """What to forward in place of this reply."""
        due = self._answered(message.kind)
        if self.striking is None:
            return b"" if due is not None and due.is_ours else message.raw
        if due is not None and due.ends:
            if self.striking.act is Act.DISOWN:
                self.client.writer.write(refusal(self.striking.sqlstate, "server conn crashed?", severity="FATAL"))
                self.client.writer.close()
                self.server.reset()
            else:
                self.reset()
        return b""

    def _answered(self, kind: str) -> _Due | None:
        """What this reply answers, if it is an end of something. After an error a server passes over a round's rest."""
        if kind not in "12CIsZ" or not self.due:
            return None
        if kind == "Z":
            ends = False
            while True:
                due = self.due.popleft()
                ends = ends or due.ends
                if due.kind == "Z":
                    return _Due("Z", is_ours=due.is_ours, ends=ends)
        if self.due[0].kind == "Z":  # a simple query, whose statements are not counted
            return None
        return self.due.popleft()
