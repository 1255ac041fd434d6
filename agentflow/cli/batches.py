"""Many runs at once, from a list of what to start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from agentflow.cli.exits import ExitCode, Refused, document_of
from agentflow.cli.inputs import read_json
from agentflow.cli.session import opened
from agentflow.cli.terminal import write
from agentflow.client import NewTrigger
from agentflow.tasks.options import CHECKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.cli.targets import Application
    from agentflow.cli.terminal import Terminal
    from agentflow.client import BatchItem
    from agentflow.tasks.options import Options

PLAIN = ("idempotency_key", "delay", "priority", "ttl", "queue_key", "cost", "tags", "metadata")


def read_items(given: str) -> Sequence[NewTrigger]:
    """The items of a batch. Raises `Refused` for a list that is none, or an item that names no task."""
    found = read_json(given, option="--items")
    if not isinstance(found, list):
        raise Refused(f"--items: found {type(found).__name__}; wanted a list of objects with a task and an input")
    return [_item(number, one) for number, one in enumerate(found)]


def _item(number: int, one: Any) -> NewTrigger:
    known = {"task", "input", *PLAIN}
    if not isinstance(one, dict) or not isinstance(one.get("task"), str) or not set(one) <= known:
        raise Refused(
            f'--items: item {number} is {str(one)[:60]!r}; wanted an object with "task", "input" and, of the options, '
            f"{', '.join(PLAIN)}"
        )
    options = {name: one[name] for name in PLAIN if name in one and name in CHECKS}
    return NewTrigger(task=one["task"], input=one.get("input", {}), options=cast("Options", options))


async def trigger_items(terminal: Terminal, application: Application, items: Sequence[NewTrigger]) -> int:
    """Start them and say what became of each, in their order."""
    async with opened(terminal, catalog=application.catalog, may_create=True) as client:
        done = await client.trigger_batch(items, origin="cli")

    def write_all() -> None:
        for number, one in enumerate(done):
            said = f"{one.run.id}  {one.run.status}" if one.run is not None else f"refused: {one.error}"
            write(f"  {number:>4}  {said}", "" if one.run is not None else "red")

    terminal.answer([_document(one) for one in done], write_all)
    return ExitCode.FAILED if any(one.error is not None for one in done) else ExitCode.OK


def _document(one: BatchItem) -> dict[str, Any]:
    if one.error is not None:
        return document_of(one.error, str(one.error))
    assert one.run is not None
    return {"id": one.run.id, "status": str(one.run.status)}
