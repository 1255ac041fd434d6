"""Runs and approvals by their id or any beginning of it that fits one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from agentflow.cli.exits import Refused
from agentflow.errors import ApprovalNotFound, RunNotFound
from agentflow.ids import APPROVAL, RUN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow.client import Client
    from agentflow.records import Approval, Page, Run

MOST_LISTED: Final = 5


class Identified(Protocol):
    """A record with an id."""

    @property
    def id(self) -> str:
        """What it is found by."""
        ...


T = TypeVar("T", bound=Identified)


async def find_run(client: Client, given: str) -> Run:
    """The one run whose id begins with `given`. Raises `RunNotFound`, or `Refused` listing those that fit."""
    beginning = _with_kind(given, RUN)
    try:
        return await client.run(beginning)
    except RunNotFound:
        found = await _beginning(beginning, lambda cursor: client.runs(search=beginning, cursor=cursor))
        if not found:
            raise
    only = _only(given, found, "runs", lambda run: f"{run.id} ({run.task}, {run.status})")
    return await client.run(only.id)  # a listing leaves out what is large


async def find_approval(client: Client, given: str) -> Approval:
    """The one approval whose id begins with `given`. Raises `ApprovalNotFound`, or `Refused` listing those that fit."""
    if given.startswith(f"{RUN}_"):
        raise Refused(f"found {given}, a run; wanted the id of an approval: `agentflow inbox` lists them")
    beginning = _with_kind(given, APPROVAL)
    try:
        return await client.approval(beginning)
    except ApprovalNotFound:
        found = await _beginning(
            beginning, lambda cursor: client.approvals(pending=None, search=beginning, cursor=cursor)
        )
        if not found:
            raise
    return _only(given, found, "approvals", lambda approval: f"{approval.id} ({approval.title}, {approval.status})")


def _with_kind(given: str, kind: str) -> str:
    """The beginning of an id, its kind put in front where it was left out: `01kaj` is `run_01kaj`."""
    prefix = f"{kind}_"
    return given if given.startswith(prefix) or prefix.startswith(given) else prefix + given


async def _beginning(beginning: str, page_after: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    """Records whose id begins so, a few more than one at most: enough to know whether it names one alone."""
    found: list[T] = []
    cursor: str | None = None
    while len(found) <= MOST_LISTED:
        page = await page_after(cursor)
        found += [record for record in page.items if record.id.startswith(beginning)]
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _only(given: str, found: list[T], what: str, described: Callable[[T], str]) -> T:
    if len(found) == 1:
        return found[0]
    listed = ", ".join(described(record) for record in found[:MOST_LISTED])
    more = ", …" if len(found) > MOST_LISTED else ""
    raise Refused(f"{given!r} is the beginning of several {what}: {listed}{more}; give more of the id")
