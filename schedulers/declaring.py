"""Making the stored schedules those that the code declares."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from agentflow.errors import DefinitionError
from agentflow.records import Reconciled

if TYPE_CHECKING:
    from agentflow.client import Client


async def declare(client: Client, *, dry_run: bool = False) -> Reconciled:
    """What was added, changed and removed so that the stored schedules are those of the client's catalog.

    With `dry_run` only told, not done. A schedule that cannot start runs, because its task is unknown or its input does
    not fit, is stored all the same: it is shown, and firing says what is wrong. A client without tasks declares nothing
    and changes nothing. Raises `DefinitionError` for two schedules of one id, `ScheduleTaken` for the id of one that a
    program has made; nothing was changed then.
    """
    if not client.catalog.tasks:  # a program started without definitions must not take out everybody's schedules
        return Reconciled(added=(), changed=(), before=(), removed=(), kept=())
    declared = list(client.catalog.schedules)
    (most_declared, count), *_ = Counter(one.id for one in declared).most_common(1) or [("", 0)]
    if count > 1:
        raise DefinitionError(
            f"schedule id {most_declared!r} is declared {count} times; give the others an id= of their own"
        )
    return await client.schedules.declare(declared, dry_run=dry_run)
