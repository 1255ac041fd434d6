"""Budgets: held by an operation of a run, over all that happens within it and in the runs below.

What was spent is summed when it is asked for, and stored nowhere: runs that spend at one time need not wait for each
other, and what is recorded once is counted once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, case, insert, select, update

from agentflow.errors import IdempotencyMismatch, RunNotFound
from agentflow.records import BudgetState
from agentflow.store import locks, tables
from agentflow.store.rows import table_of
from agentflow.store.spending import usage
from agentflow.store.statements import Statement, const
from agentflow.usage import from_nanos, to_nanos

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from agentflow.errors import AgentflowError
    from agentflow.requests import GrantBudget, Lease, NewBudget
    from agentflow.store.transaction import Row, Transaction

budget = table_of(tables.RunBudgetRow)
grant = table_of(tables.GrantRow)
run = table_of(tables.RunRow)

ROOT = case((run.c.root_id == const(""), run.c.id), else_=run.c.root_id)
LIMITS = (budget.c.run_id, budget.c.key, budget.c.tokens, budget.c.cost, budget.c.warn_at)
_ONE = (budget.c.run_id == bindparam("run_id"), budget.c.key == bindparam("key"))
_HELD = {c.name: ROOT if c.name == "root_id" else bindparam(c.name, type_=c.type) for c in budget.columns}
HOLD = Statement(
    insert(budget).from_select(list(_HELD), select(*_HELD.values()).where(run.c.id == bindparam("run_id")))
)
BY_KEY = Statement(select(*LIMITS).where(*_ONE))
OF_RUN = Statement(
    select(*LIMITS).where(budget.c.run_id == bindparam("run_id")).order_by(budget.c.created_at, budget.c.key)
)
GRANTED = Statement(select(grant.c.run_id, grant.c.key).where(grant.c.id == bindparam("id")))
GRANT = Statement(insert(grant).values({c.name: bindparam(c.name) for c in grant.columns}))
ADD = Statement(
    update(budget)
    .where(*_ONE)
    .values(
        tokens=budget.c.tokens + bindparam("more_tokens", type_=budget.c.tokens.type),
        cost=budget.c.cost + bindparam("more_cost", type_=budget.c.cost.type),
    )
)


def hold_budget(tx: Transaction, lease: Lease, new: NewBudget) -> None:
    """Keep the budget, unless one of its key is there. The turn is known to hold its run."""
    if tx.row(BY_KEY, {"run_id": lease.run_id, "key": new.key}) is not None:
        return
    tx.run(
        HOLD,
        {
            "run_id": lease.run_id,
            "key": new.key,
            "tokens": new.tokens,
            "cost": _nanos(new.cost),
            "warn_at": new.warn_at,
            "created_at": tx.now,
        },
    )
    tx.touched.add(lease.run_id)


def _nanos(cost: Decimal | None) -> int | None:
    return None if cost is None else to_nanos(cost)


def grant_budget(tx: Transaction, request: GrantBudget) -> BudgetState | AgentflowError:
    """The budget with more in it, or as it is where this grant was made before."""
    of = {"run_id": request.run_id, "key": request.key}
    locks.run_of(tx, request.run_id)
    if tx.row(BY_KEY, of) is None:
        return RunNotFound(
            f"run {request.run_id} holds no budget {request.key!r}, so nothing was granted; is the id right, or was "
            "the run removed meanwhile?"
        )
    known = tx.row(GRANTED, {"id": request.id})
    if known is not None and known != (request.run_id, request.key):
        return IdempotencyMismatch(
            f"grant {request.id} was made before, for budget {known[1]!r} of run {known[0]}; that one stands, and "
            "nothing was granted now. Give another grant another id"
        )
    if known is None:
        more = request.tokens, _nanos(request.cost) or 0
        said = {"id": request.id, "granted_by": request.by, "tokens": more[0], "cost": more[1], "at": tx.now}
        tx.run(GRANT, of | said)
        tx.run(ADD, of | {"more_tokens": more[0], "more_cost": more[1]})
        tx.touched.add(request.run_id)
    row = tx.row(BY_KEY, of)
    assert row is not None
    return state(tx, row)


def budgets(tx: Transaction, run_id: str) -> Sequence[BudgetState]:
    """The budgets a run holds, in the order in which they were made."""
    return [state(tx, row) for row in tx.rows(OF_RUN, {"run_id": run_id})]


def state(tx: Transaction, limits: Row) -> BudgetState:
    run_id, key, tokens, cost, warn_at = limits
    return BudgetState(
        run_id=run_id,
        key=key,
        tokens=tokens,
        cost=None if cost is None else from_nanos(cost),
        warn_at=warn_at,
        spent=usage.spent(tx, run_id, key),
    )
