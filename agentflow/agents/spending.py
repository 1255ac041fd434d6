"""What becomes of an agent whose budget is spent: a person is asked, or it finishes, or it fails."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from agentflow.agents.budget import said
from agentflow.requests import GrantBudget
from agentflow.runtime.operations.spending import keep
from agentflow.runtime.waiting.approvals import wait_for_approval
from agentflow.tasks.step import Step

if TYPE_CHECKING:
    from agentflow.errors import BudgetReached
    from agentflow.runtime.waiting.approvals import Approval

LONGEST_LAST_WORDS: Final = 2_000
STORED: Final = frozenset({"tokens", "cost"})
"""The limits that the store keeps, over the run and all runs below it; the others are this agent call's own."""


class BudgetAnswer(BaseModel):
    """What is to become of an agent that has reached a limit."""

    model_config = ConfigDict(extra="forbid")

    choice: Literal["grant", "finish", "stop"] = Field(
        description="grant: go on with the amount below; finish: answer with what there is; stop: fail the run"
    )
    amount: Decimal = Field(gt=0, max_digits=15, decimal_places=4, description="how much more of what has run out")


async def asked_for_more(
    agent: str, reached: BudgetReached, *, proposed: Decimal, last_words: str
) -> Approval[BudgetAnswer]:
    """What a person says is to become of it; not approved means that it is to stop."""
    unit = {"cost": "US dollars", "time": "seconds"}.get(reached.limit, reached.limit)
    body = [f"The agent `{agent}` was stopped at a checkpoint before its next call of a model: {reached}.",
            f"`amount` is in {unit}."]  # fmt: skip
    return await wait_for_approval(
        BudgetAnswer(choice="grant", amount=proposed),
        title=f"{agent} has reached its limit of {reached.limit}",
        summary=str(reached),
        body="\n\n".join(body),
        said=last_words[-LONGEST_LAST_WORDS:],
        reason="budget_reached",
        key="budget.approval",
        tags={"kind": "budget", "limit": reached.limit, "agent": agent},
    )


async def granted(reached: BudgetReached, decided: Approval[BudgetAnswer]) -> None:
    """Put what a person granted into the budget that is spent, once however often the run is replayed."""

    async def grant(limit: str, amount: str) -> str:
        more = Decimal(amount)
        keep(
            GrantBudget(
                id=decided.receipt,
                run_id=reached.run_id,
                key=reached.key,
                by=decided.decided_by,
                tokens=max(1, int(more)) if limit == "tokens" else 0,
                cost=more if limit == "cost" else None,
            )
        )
        return said(limit, more)

    await Step(grant, name="grant")(reached.limit, str(decided.data.amount))


def proposal(limit: str, most: Any) -> Decimal:
    """What is proposed for another go: half of what there was, at least one."""
    half = Decimal(str(most)) / 2
    return max(
        half.quantize(Decimal("0.01")) if limit == "cost" else Decimal(int(half)),
        Decimal("0.01" if limit == "cost" else 1),
    )
