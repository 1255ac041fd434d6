"""Running the verbs of a batch in one open transaction, so that one that fails is told apart from its neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow import failpoints
from agentflow.store.sqlite.file import driver
from agentflow.store.transaction import is_single_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from sqlite3 import Connection

    from agentflow.errors import StoreUnavailable
    from agentflow.store.calls import Call
    from agentflow.store.sqlite.transaction import SqliteTransaction


def run_all(
    connection: Connection,
    tx: SqliteTransaction,
    batch: Sequence[Call],
    unavailable: Callable[[Exception], StoreUnavailable],
    *,
    is_guarded: bool,
) -> bool:
    """Run the verbs, each behind a savepoint if they are to be guarded; whether one failed.

    Of a batch that is not guarded nothing is kept then. Raises the driver's error when the transaction is lost.
    """
    for call in batch:
        behind = is_guarded and not is_single_statement(call.verb)
        if behind:
            connection.execute("SAVEPOINT verb")
        try:
            _run(tx, call)
        except driver.Error as error:
            if not connection.in_transaction:
                raise
            call.error = unavailable(error)
        except BaseException as error:  # noqa: BLE001  it is given to whoever called the verb
            call.error = error
        if behind:
            if call.error is not None:
                connection.execute("ROLLBACK TO verb")
            connection.execute("RELEASE verb")
    has_failed = any(call.error is not None for call in batch)
    if has_failed and not is_guarded:
        connection.execute("ROLLBACK")
    return has_failed


def _run(tx: SqliteTransaction, call: Call) -> None:
    if not failpoints.ACTIVE:
        call.result = call.verb(tx, *call.args)
        return
    failpoints.reach(f"{call.verb.__name__}.before")
    call.result = call.verb(tx, *call.args)
    failpoints.reach(f"{call.verb.__name__}.inside")
