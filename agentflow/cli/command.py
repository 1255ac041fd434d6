"""What every command has: the options they share, and one way to end."""

from __future__ import annotations

import functools
import inspect
import json
import sys
import traceback as tracebacks
from collections.abc import Callable
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from agentflow.cli.environment import unread_variables
from agentflow.cli.exits import code_of, document_of
from agentflow.cli.terminal import Terminal, safe
from agentflow.errors import AgentflowError
from agentflow.settings import database_url

P = ParamSpec("P")
Body = Callable[Concatenate[Terminal, P], int | None]


def _shared(
    *,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="URL",
            help="The database; else $AGENTFLOW_DATABASE_URL, else sqlite:///agentflow.db.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Leave out notes and progress.")] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show the whole traceback of an error.")] = False,
) -> Terminal:
    return Terminal(database=database_url(database), as_json=as_json, quiet=quiet, traceback=traceback)


_SHARED = inspect.signature(_shared, eval_str=True).parameters


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A parser for an option that counts, whose refusal says what was found."""
    wanted = f"a whole number, {least} or more" if most is None else f"a whole number from {least} to {most}"

    def parse(text: str) -> int:
        digits = str(text).strip()
        if not (digits.isascii() and digits.isdigit() and len(digits) < 10):  # noqa: PLR2004 - more is no count
            raise typer.BadParameter(f"found {text!r}; wanted {wanted}")
        if int(digits) < least or (most is not None and int(digits) > most):
            raise typer.BadParameter(f"found {digits}; wanted {wanted}")
        return int(digits)

    return parse


def command(application: typer.Typer, name: str, *, panel: str) -> Callable[[Body[P]], Body[P]]:
    """Register a command. Its function is given a `Terminal`, and returns an exit code or None for success."""

    def register(body: Body[P]) -> Body[P]:
        @functools.wraps(body)
        def run(**options: Any) -> None:
            shared = {key: options.pop(key) for key in _SHARED}
            terminal = _shared(**shared)
            for warning in unread_variables():
                terminal.note(warning)
            raise typer.Exit(ended(terminal, functools.partial(body, terminal, **options)))

        own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
        parameters = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in [*own, *_SHARED.values()]]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        application.command(name, rich_help_panel=panel)(run)
        return body

    return register


def ended(terminal: Terminal, body: Callable[[], int | None]) -> int:
    """The exit code of a command, whose error, if it ends in one, has been reported."""
    try:
        return int(body() or 0)
    except AgentflowError as error:
        return report(terminal, error, str(error))
    except (KeyboardInterrupt, EOFError, BrokenPipeError, typer.Exit, typer.Abort, typer.TyperException):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one sentence and a way to see more
        sentence = (
            f"agentflow made a mistake ({type(error).__name__}: {error}); run it again with --traceback to see where"
        )
        return report(terminal, error, sentence)


def report(terminal: Terminal, error: BaseException, sentence: str) -> int:
    """Say what went wrong: one line to stderr, and to stdout a document if the answer was to be one."""
    if terminal.traceback:
        tracebacks.print_exception(error)
    print(f"agentflow: {safe(sentence)}".replace("\n", " "), file=sys.stderr)
    if terminal.as_json:
        print(json.dumps(document_of(error, sentence), indent=2), flush=True)
    return int(code_of(error))
