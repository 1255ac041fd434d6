"""Statements run on a connection by the driver's lower layer: prepared once they return, and with few journeys.

A journey to a server on the same machine takes some 30 microseconds; what a cursor of the driver's does around it, and
what it looks up to do so, takes as long again. A BEGIN travels with what follows it, by libpq's pipeline mode; what is
last before a COMMIT does not travel with that, or nobody could say of a lost connection that nothing was stored.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from agentflow.store.postgres.server import PREPARE_AFTER, driver, wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg import Connection
    from psycopg.pq.abc import PGconn, PGresult

    from agentflow.store.transaction import Row

Bound: TypeAlias = "tuple[bytes, bytes | None, list[Any]]"
"""A statement's text, the name it is prepared under, and its values."""
PARAMETER: Final = re.compile(r"%(?:\((\w+)\)s|%)")
SQLSTATE: Final = ord("C")
"""The field of an error that libpq calls PG_DIAG_SQLSTATE."""
MOST_PREPARED: Final = 500
"""How many prepared statements a connection keeps: more than there are verbs' statements."""


class Prepared:
    """The statements of one connection, for one thread."""

    def __init__(self, connection: Connection[Any]) -> None:
        psycopg = driver()
        self.connection = connection
        self._pgconn: PGconn = connection.pgconn
        self._read = psycopg.adapt.Transformer(connection)
        self._error_of: Any = psycopg.errors.error_from_result
        self._cut: Any = psycopg.OperationalError
        self._given: Final = frozenset({psycopg.pq.ExecStatus.COMMAND_OK, psycopg.pq.ExecStatus.TUPLES_OK})
        self._gone: Any = psycopg.pq.ConnStatus.BAD
        self._times: dict[str, int] = {}
        self._names: dict[str, bytes] = {}
        self._ahead: list[Bound] = []

    def run(self, text: str, params: Mapping[str, Any]) -> PGresult:
        """What the server says to a statement with `%(name)s` in it. Raises the driver's errors."""
        return self._ask(self._bound(text, params))

    def say(self, command: bytes) -> None:
        """Give a command without parameters. Raises the driver's errors."""
        self._ask((command, None, []))

    def say_later(self, command: bytes) -> None:
        """Give a command on the next one's journey, which raises its errors; at once where a pooler lies between."""
        if self._is_pooled:
            self.say(command)
        else:
            self._ahead.append((command, None, []))

    def send(self, text: str, params: Mapping[str, Any]) -> bool:
        """Send a statement without waiting, if it is prepared; whether it was. `flush` and `hear` see it to its end."""
        name = self._names.get(text)
        if name is None or self._ahead:
            return False
        _, names = _numbered(text)
        self._pgconn.send_query_prepared(name, [_value(params[one]) for one in names])
        return True

    def flush(self) -> bool:
        """Give the socket what it takes; whether something is left. Raises the driver's errors."""
        return bool(self._pgconn.flush())

    def hear(self, results: list[PGresult]) -> bool:
        """Take what has come of what was sent; whether that is all. Raises the driver's errors."""
        self._take_in()
        while not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if result is None:
                return True
            results.append(result)
        return False

    def forget(self) -> None:
        """Leave out what was put off and not run yet."""
        self._ahead.clear()

    def rows(self, result: PGresult) -> Sequence[Row]:
        """The rows that a statement gave, in Python's types."""
        if not result.ntuples:
            return []
        self._read.set_pgresult(result)
        found: Sequence[Row] = self._read.load_rows(0, result.ntuples, tuple)
        return found

    def _bound(self, text: str, params: Mapping[str, Any]) -> Bound:
        numbered, names = _numbered(text)
        name = self._names.get(text) or self._prepare(text, numbered)
        return numbered, name, [_value(params[name]) for name in names]

    def _prepare(self, text: str, numbered: bytes) -> bytes | None:
        """The name under which the server knows the statement by now; None while it is too new, or never to be."""
        if self._is_pooled or len(self._names) >= MOST_PREPARED:
            return None
        times = self._times[text] = self._times.get(text, 0) + 1
        if times <= PREPARE_AFTER:
            return None
        name = f"agentflow_{len(self._names)}".encode()
        self.check(self._pgconn.prepare(name, numbered))
        self._names[text] = name
        return name

    @property
    def _is_pooled(self) -> bool:
        return self.connection.prepare_threshold is None

    def _ask(self, bound: Bound) -> PGresult:
        if self._ahead:
            return self._ask_all([*self._ahead, bound])
        text, name, values = bound
        if name is not None:
            return self.check(self._pgconn.exec_prepared(name, values))
        return self.check(self._pgconn.exec_params(text, values))

    def _ask_all(self, given: Sequence[Bound]) -> PGresult:
        """What the server says to the last of several; the first that it refuses is the last it runs."""
        self._ahead.clear()
        self._pgconn.enter_pipeline_mode()
        for text, name, values in given:
            if name is not None:
                self._pgconn.send_query_prepared(name, values)
            else:
                self._pgconn.send_query_params(text, values)
        self._pgconn.pipeline_sync()
        results = [self._next_result() for _ in given]
        self._next_result()  # the end of the round
        self._pgconn.exit_pipeline_mode()
        for result in results:
            self.check(result)
        return results[-1]

    def _next_result(self) -> PGresult:
        """The next statement's; between two of them libpq says that there is no more of the one before."""
        result = self._heard() or self._heard()
        if result is None or self._pgconn.status == self._gone:
            if result is not None:
                self.check(result)
            raise self._cut(self._pgconn.get_error_message())
        return result

    def _heard(self) -> PGresult | None:
        """What `get_result` gives, which would keep every thread waiting with it."""
        while self._pgconn.is_busy():
            wait_for(self._pgconn.socket, to_write=bool(self._pgconn.flush()))
            self._take_in()
        return self._pgconn.get_result()

    def _take_in(self) -> None:
        try:
            self._pgconn.consume_input()
        except self._cut:
            while result := self._pgconn.get_result():
                self.check(result)  # the server's own last words say more
            raise

    def check(self, result: PGresult) -> PGresult:
        """The same, if it says that all is well. Raises the driver's errors."""
        if result.status in self._given:
            return result
        if self._pgconn.status == self._gone and not result.error_field(SQLSTATE):
            raise self._cut(result.get_error_message())
        raise self._error_of(result)


@lru_cache(4096)
def _numbered(text: str) -> tuple[bytes, tuple[str, ...]]:
    """The text as the server reads it, and the names of its parameters by their numbers."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return "%" if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    return PARAMETER.sub(number, text).encode(), tuple(numbers)


def _value(value: Any) -> bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return array(value).encode()
    return str(value).encode()


def array(values: list[Any]) -> str:
    """An array as the server writes it: the driver takes ten times as long to write one."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
