"""Approvals: list what waits for a person, and decide."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentflow.cli.command import command, whole_number
from agentflow.cli.terminal import Terminal, user

if TYPE_CHECKING:
    from agentflow.records import Approval
    from agentflow.states import Verdict

PANEL = "Approvals"
ApprovalId = Annotated[
    str, typer.Argument(metavar="ID", help="An approval's id, or a beginning of it that fits no other.")
]
Comment = Annotated[str, typer.Option("--comment", "-m", metavar="TEXT", help="Why; kept with the decision.")]


def register(application: typer.Typer) -> None:
    """Add these commands."""
    command(application, "inbox", panel=PANEL)(inbox)
    command(application, "approve", panel=PANEL)(approve)
    command(application, "reject", panel=PANEL)(reject)
    command(application, "correct", panel=PANEL)(correct)


def inbox(
    terminal: Terminal,
    id: Annotated[
        str | None, typer.Argument(metavar="ID", help="Show this one approval in full.", show_default=False)
    ] = None,
    *,
    all: Annotated[bool, typer.Option("--all", "-a", help="Decided ones too.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="COUNT", parser=whole_number(1), help="At most so many.")
    ] = 200,
) -> int:
    """List what waits for a person's decision, the most urgent first, or show one approval in full."""
    if id is not None:
        return _inbox_one(terminal, id)
    from agentflow.cli.session import missing_database

    if sentence := missing_database(terminal.database):
        terminal.note(sentence)
        terminal.answer([], lambda: None)
        return 0
    return asyncio.run(_inbox(terminal, None if all else True, limit))


def _inbox_one(terminal: Terminal, id: str) -> int:
    from agentflow.cli.documents import approval_document
    from agentflow.cli.views import write_approval

    approval = asyncio.run(_read(terminal, id))
    terminal.answer(approval_document(approval), lambda: write_approval(approval))
    return 0


async def _inbox(terminal: Terminal, pending: bool | None, limit: int) -> int:
    from agentflow.cli.documents import approval_document
    from agentflow.cli.session import opened
    from agentflow.cli.views import write_approvals

    found: list[Approval] = []
    cursor: str | None = None
    async with opened(terminal) as client:
        while len(found) < limit:
            page = await client.approvals(pending=pending, cursor=cursor, limit=min(limit - len(found), 200))
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        now = client.now()
    terminal.answer([approval_document(one) for one in found], lambda: write_approvals(found, now=now))
    if cursor is not None:
        terminal.note(f"there are more; --limit shows more than {limit}")
    elif not found:
        terminal.note("nothing waits for a decision" if pending else "no approval was ever asked for")
    return 0


def approve(terminal: Terminal, id: ApprovalId, comment: Comment = "") -> int:
    """Approve what a run proposes, as it is."""
    from agentflow.states import Verdict

    return asyncio.run(_decide(terminal, id, Verdict.APPROVE, comment=comment))


def reject(
    terminal: Terminal,
    id: ApprovalId,
    comment: Annotated[
        str, typer.Option("--reason", "--comment", "-m", metavar="REASON", help="Why; told to the run.")
    ],
) -> int:
    """Reject what a run proposes, and say why."""
    from agentflow.states import Verdict

    return asyncio.run(_decide(terminal, id, Verdict.REJECT, comment=comment))


def correct(
    terminal: Terminal,
    id: ApprovalId,
    given: Annotated[
        str | None,
        typer.Option("--data", metavar="JSON|@FILE|-", help="The whole corrected data; without it $EDITOR opens."),
    ] = None,
    comment: Comment = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the correction is recorded.")] = False,
) -> int:
    """Approve with corrections: the run goes on with the data as you change it.

    The data is checked against the approval's schema, and the difference is shown, before anything is recorded.
    """
    from agentflow.cli.correcting import corrected
    from agentflow.states import Verdict

    approval = asyncio.run(_read(terminal, id))
    final = corrected(terminal, approval, given, ask=not yes)
    return asyncio.run(
        _decide(terminal, approval.id, Verdict.CORRECT, comment=comment, data=final, expected_version=approval.version)
    )


async def _read(terminal: Terminal, id: str) -> Approval:
    from agentflow.cli.lookup import find_approval
    from agentflow.cli.session import opened

    async with opened(terminal) as client:
        return await find_approval(client, id)


async def _decide(terminal: Terminal, id: str, verdict: Verdict, **decision: Any) -> int:
    from agentflow.cli.documents import decision_document
    from agentflow.cli.lookup import find_approval
    from agentflow.cli.session import opened
    from agentflow.cli.views import write_decision

    async with opened(terminal) as client:
        approval = await find_approval(client, id)
        receipt = await client.decide(approval.id, verdict, by=user(), channel="cli", **decision)
    terminal.answer(decision_document(receipt), lambda: write_decision(receipt, approval))
    return 0
