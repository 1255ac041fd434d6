"""An entry of a turn and what it keeps beside the journal: one transaction, so that both are there or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow.errors import AgentflowError
from agentflow.requests import GrantBudget, NewBudget
from agentflow.store.spending import budgets, threads, usage

if TYPE_CHECKING:
    from agentflow.requests import Lease, NewEntry
    from agentflow.requests.spending import Kept
    from agentflow.store.transaction import Transaction


def append(tx: Transaction, lease: Lease, new: NewEntry) -> None:
    """Keep an entry, what it used, and what it keeps beside. Raises `LeaseLost`, or `RunNotFound` for a grant to a
    budget that is gone; nothing was kept then.
    """
    usage.append(tx, lease, new)
    for one in new.kept:
        _keep(tx, lease, one)


def _keep(tx: Transaction, lease: Lease, one: Kept) -> None:
    if isinstance(one, NewBudget):
        budgets.hold_budget(tx, lease, one)
    elif isinstance(one, GrantBudget):
        granted = budgets.grant_budget(tx, one)
        if isinstance(granted, AgentflowError):
            raise granted
    else:
        threads.extend_thread(tx, lease, one)


def is_plain(new: NewEntry) -> bool:
    """Whether the entry is all there is to keep."""
    return not new.usage and not new.kept
