"""How a command speaks: the answer to stdout, everything said on the way to stderr."""

from __future__ import annotations

import getpass
import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentflow.settings import shown_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, RenderableType

STATUS_STYLES = {
    "queued": "cyan",
    "running": "blue",
    "waiting": "yellow",
    "paused": "yellow",
    "expired": "dim",
    "pending": "yellow",
    "needs_attention": "bold magenta",
    "completed": "green",
    "succeeded": "green",
    "approved": "green",
    "corrected": "green",
    "failed": "red",
    "rejected": "red",
    "timed_out": "red",
    "cancelled": "dim",
    "superseded": "dim",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """One command's voice. With `as_json`, stdout gets exactly one JSON document and nothing else."""

    database: str
    as_json: bool = False
    quiet: bool = False
    traceback: bool = False

    @property
    def place(self) -> str:
        """The database as it may be shown: without its password."""
        return shown_url(self.database)

    @property
    def is_interactive(self) -> bool:
        """Whether a person is there to be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def answer(self, document: Any, write: Callable[[], None]) -> None:
        """Print what was asked for: the document for a program, or what `write` prints for a person."""
        if self.as_json:
            print(json.dumps(document, indent=2), flush=True)
        else:
            write()
            sys.stdout.flush()

    def note(self, sentence: str) -> None:
        """Say something beside the answer, unless asked to be quiet."""
        if not self.quiet:
            print(safe(sentence), file=sys.stderr, flush=True)

    @contextmanager
    def progress(self, sentence: str) -> Iterator[Callable[[str], None]]:
        """Show that something is going on, on a terminal only; the function given changes what is said."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda _: None
            return
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True).status(Text(safe(sentence))) as status:
            yield lambda changed: status.update(Text(safe(changed)))


def write(line: str = "", style: str = "") -> None:
    """One line of the answer for a person; nothing in it is taken for markup or control codes."""
    if not sys.stdout.isatty():
        print(safe(line))
        return
    from rich.text import Text

    _show(Text(safe(line), style=style))


def write_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows for a person: aligned and coloured on a terminal, separated by tabs for a pipe."""
    clean = [[safe(cell).replace("\t", " ").replace("\n", " ") for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in ([*header], *clean):
            print("\t".join(row))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in header:
        table.add_column(name, overflow="fold", no_wrap=name == "id")
    for row in clean:
        table.add_row(*(Text(cell, style=STATUS_STYLES.get(cell, "")) for cell in row))
    _show(table)


def _show(renderable: RenderableType) -> None:
    _stdout().print(renderable, soft_wrap=not sys.stdout.isatty())


def _stdout() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def safe(text: str) -> str:
    """The text with whatever would act on the terminal, or hide in it, shown by name instead."""
    if text.isascii() and text.isprintable():
        return text
    from agentflow.approvals.text import visible

    return "".join(piece.text for piece in visible(text))


def pretty(document: Any) -> str:
    """A JSON value for a person to read."""
    return safe(json.dumps(document, indent=2, ensure_ascii=False))


def confirmed(question: str, *, default: bool = False) -> bool:
    """What the person at the terminal answers; stdout stays the answer's. Raises `EOFError` if nobody is there."""
    print(f"{safe(question)} [{'Y/n' if default else 'y/N'}] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer:
        raise EOFError
    word = answer.strip().lower()
    return default if not word else word in {"y", "yes"}


def user() -> str:
    """Who sits at this terminal: the name decisions made here are recorded under."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user id may have no name
        return "local"
