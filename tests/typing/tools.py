"""The types of tools as a user sees them. Checked by mypy, never run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, assert_type

from agentflow import Retry, task
from agentflow.agents import ApprovalPolicy, Depends, Tool, ToolContext, ToolSource, as_tool, tool


@dataclass
class Case:
    customer: str


def open_shop() -> list[str]:
    return []


@tool
async def bare(word: str) -> int:
    """Count."""
    return len(word)


@tool
def sync(word: str, *, loud: bool = False) -> list[str]:
    """Say it."""
    return [word.upper() if loud else word]


def above(args: Mapping[str, Any]) -> bool:
    return bool(args["amount"] > 50)


@tool(effect="irreversible", needs_approval=above, timeout="5s", retry=Retry(), rate="10/min", fallback=bare)
async def refund(
    order: str, amount: Decimal, ctx: ToolContext[Case], shop: Annotated[list[str], Depends(open_shop)]
) -> str:
    """Refund an order."""
    assert_type(ctx.context, Case)
    return f"{order} {amount} {shop}"


policy: ApprovalPolicy = ApprovalPolicy(when=above, title=lambda args: f"Refund {args['amount']}", risk="high")


@task
async def calling(word: str) -> int:
    """Count."""
    assert_type(await sync(word, loud=True), list[str])
    assert_type(await bare.perform("call", {"word": word}), int)
    return assert_type(await bare(word), int)


async def refused(context: ToolContext[Case]) -> None:
    await bare(5)  # type: ignore[arg-type]
    await sync("a", True)  # type: ignore[call-arg]
    await refund("a", 5, context, [])  # type: ignore[arg-type]
    tool(effects="read")  # type: ignore[call-overload]
    as_tool(calling, effect="read", runs=True)  # type: ignore[call-arg]


any_tool: Tool[..., Any] = refund


def names(source: ToolSource) -> str:
    return assert_type(source.name, str)
