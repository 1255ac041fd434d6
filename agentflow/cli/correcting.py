"""A correction made at the terminal: typed or edited, checked, shown as a difference, confirmed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentflow.cli.exits import ExitCode, Refused
from agentflow.cli.inputs import parse_json, read_json
from agentflow.cli.terminal import confirmed, safe
from agentflow.errors import AlreadyDecided, ApprovalWithdrawn, InvalidDecision
from agentflow.states import DECIDED, Verdict

if TYPE_CHECKING:
    from agentflow.approvals.diff import Change
    from agentflow.cli.terminal import Terminal
    from agentflow.records import Approval

EDITORS: Final = ("sensible-editor", "nano", "vim", "vi")


def corrected(terminal: Terminal, approval: Approval, given: str | None, *, ask: bool) -> Any:
    """The data as the person wants it: valid, and confirmed if there is somebody to ask.

    Raises `InvalidDecision` or `Refused`; nothing was recorded then.
    """
    _still_open(approval)
    if given is not None:
        final = read_json(given, option="--data")
        check(approval, final)
    else:
        final = _edited(terminal, approval)
    confirmable = ask and terminal.is_interactive
    if not terminal.quiet or confirmable:
        _show_difference(approval, final)
    if confirmable and not confirmed("Record this correction?"):
        raise Refused(f"approval {approval.id} is still pending; nothing was recorded", ExitCode.FAILED)
    return final


def _still_open(approval: Approval) -> None:
    """Raise now what deciding would raise, before somebody edits for nothing."""
    if approval.is_pending:
        return
    if approval.status in DECIDED:
        decided_by = approval.decided_by or "somebody"
        raise AlreadyDecided(approval_id=approval.id, outcome=approval.status, decided_by=decided_by)
    raise ApprovalWithdrawn(approval_id=approval.id, outcome=approval.status)


def check(approval: Approval, final: Any) -> None:
    """Raise what deciding would raise for this data: `InvalidDecision`, naming each field."""
    from agentflow.approvals.decisions import accepted_text

    accepted_text(approval, Verdict.CORRECT, final)


def _edited(terminal: Terminal, approval: Approval) -> Any:
    if not terminal.is_interactive:
        raise Refused("found no --data and no terminal to edit in; wanted --data JSON, --data @file or --data -")
    editor = editor_command()
    original = json.dumps(json.loads(approval.data), indent=2, ensure_ascii=False) + "\n"
    path = _draft(approval.id, original)
    while True:
        _edit(editor, path)
        text = path.read_text(encoding="utf-8")
        if text == original:
            path.unlink()
            raise Refused(f"nothing was changed; to take it as it is: agentflow approve {approval.id}")
        try:
            final = parse_json(text, source="your text")
            check(approval, final)
        except (Refused, InvalidDecision) as error:
            print(safe(str(error)), file=sys.stderr)
            if confirmed("Edit it again?", default=True):
                continue
            raise Refused(f"approval {approval.id} is still pending; what you typed is kept in {path}") from None
        path.unlink()
        return final


def editor_command() -> list[str]:
    """The editor to start. Raises `Refused` if there is none."""
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    command = shlex.split(named) if named else [editor for editor in EDITORS if shutil.which(editor)][:1]
    if not command or shutil.which(command[0]) is None:
        found = f"$EDITOR {named!r}, which cannot be started" if named else "no editor"
        raise Refused(f"found {found}; set EDITOR, or give the data with --data @file")
    return command


def _draft(name: str, text: str) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix=f"{name}-", suffix=".json", delete=False
    ) as file:  # readable by its owner only
        file.write(text)
    return Path(file.name)


def _edit(editor: list[str], path: Path) -> None:
    code = subprocess.run([*editor, str(path)], check=False).returncode  # noqa: S603 - the person's own editor
    if code:
        raise Refused(f"{editor[0]} ended with code {code}; nothing was recorded, what you typed is kept in {path}")


def _show_difference(approval: Approval, final: Any) -> None:
    from rich.console import Console
    from rich.text import Text

    from agentflow.approvals.diff import changes

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    found = changes(json.loads(approval.data), final, schema=json.loads(approval.schema))
    if not found:
        console.print("no difference from what the task proposed")
    for change in found:
        for line, style in difference_lines(change):
            console.print(Text(safe(line), style=style), soft_wrap=True)


def difference_lines(change: Change) -> list[tuple[str, str]]:
    """A change as lines of a diff, each with its colour."""
    note = f"  ({change.note})" if change.note else ""
    lines = [(f"{change.pointer or '/'}{note}", "bold")]
    if change.kind == "moved":
        return [*lines, (f"    moved from {change.moved_from}", "cyan")]
    if change.kind != "added":
        lines.append((f"  - {json.dumps(change.old, ensure_ascii=False)}", "red"))
    if change.kind != "removed":
        lines.append((f"  + {json.dumps(change.new, ensure_ascii=False)}", "green"))
    return lines
