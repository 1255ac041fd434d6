"""Removing what ended long ago, a short transaction at a time: killed anywhere, the next one goes on.

A run is removed with all that is only about it. Its approvals say who decided what, and stay: then the run's row stays
too, without its input, output and journal. What it spent stays in the books, and what it said in its conversation, each
for a time of its own. Nothing is removed that anything open may still ask for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from agentflow.clock import to_micros
from agentflow.records import Pruned
from agentflow.requests import Kept
from agentflow.store.keeping import accounts, ageing, families, removal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow.requests import Prune
    from agentflow.store.transaction import Transaction

    Part = Callable[[Transaction, Prune, bool], Pruned]
    Look = Callable[[Transaction, int, ageing.After, int], ageing.Aged]

MOST_ENTRIES: Final = 2000
"""Journal entries of runs that one transaction removes, but for a single longer run."""


def prune(tx: Transaction, request: Prune) -> Pruned:
    """Remove some."""
    return _PRUNE[request.kind](tx, request, True)


def prunable(tx: Transaction, request: Prune) -> Pruned:
    """What would be removed of the same rows."""
    return _PRUNE[request.kind](tx, request, False)


def _takes_all(request: Prune) -> bool:
    return request.approvals or request.kind is Kept.APPROVALS


def _runs(tx: Transaction, request: Prune, really: bool) -> Pruned:
    page = families.page(tx, request)
    removed = reduced = entries = 0
    for one in families.removable(tx, page, request, hold=really):
        entries += removal.entries_of(tx, one)
        if really and entries > MOST_ENTRIES and removed + reduced:
            return Pruned(removed=removed, reduced=reduced, after=page.before(one))
        leaves_approvals = not _takes_all(request) and removal.has_approvals(tx, one)
        if really:
            removal.remove(tx, one, leave_approvals=leaves_approvals)
        removed, reduced = removed + (not leaves_approvals), reduced + leaves_approvals
    return Pruned(removed=removed, reduced=reduced, after=page.after)


def _aged(look: Look) -> Part:
    def prune(tx: Transaction, request: Prune, really: bool) -> Pruned:
        after = json.loads(request.after) if request.after else ()
        found = look(tx, to_micros(request.before), after, request.limit)
        if really:
            found.remove(tx)
        return Pruned(removed=len(found.rows), after=None if found.after is None else json.dumps(list(found.after)))

    return prune


_PRUNE: Final[Mapping[Kept, Part]] = {
    Kept.RUNS: _runs,
    Kept.APPROVALS: _runs,
    Kept.LOGS: _aged(ageing.logs),
    Kept.EVENTS: _aged(ageing.events),
    Kept.OCCURRENCES: _aged(ageing.occurrences),
    Kept.DELIVERIES: _aged(ageing.deliveries),
    Kept.DISPATCHES: _aged(accounts.dispatches),
    Kept.USAGE: _aged(accounts.used),
    Kept.THREADS: _aged(accounts.threads),
}
