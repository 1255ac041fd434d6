"""Every command, and the one place where the program ends."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from agentflow.cli import (
    agents,
    callbacks,
    checking,
    costs,
    database,
    definitions,
    demo,
    dispatches,
    events,
    exporting,
    health,
    history,
    inbox,
    matches,
    queues,
    runs,
    schedules,
    serve,
    show,
    standing,
    steering,
    subscriptions,
    tokens,
    webhooks,
    workers,
)
from agentflow.cli.command import ended
from agentflow.cli.exits import MEANINGS, ExitCode
from agentflow.cli.terminal import Terminal, safe
from agentflow.settings import database_url

EPILOG = "Exit codes: " + "; ".join(f"{int(code)} {meaning}" for code, meaning in MEANINGS.items()) + "."


def build() -> typer.Typer:
    """The program with all its commands. None of them imports what it needs before it is used."""
    application = typer.Typer(
        name="agentflow",
        help="Durable runs of ordinary async Python functions, with people approving what they are about to do.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    groups = (
        demo, serve, runs, show, steering, history, exporting, health, workers, inbox, standing, queues, agents,
        schedules, costs, events, matches, callbacks, subscriptions, dispatches, webhooks, definitions, checking,
        tokens, database,
    )  # fmt: skip
    for group in groups:
        group.register(application)
    return application


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code the module `exits` describes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of few letters gets "\\u2713" and no error
            stream.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    bare = Terminal(database=database_url(), as_json="--json" in given, traceback="--traceback" in given)
    sys.exit(ended(bare, lambda: _run(given, bare)))


def _run(given: list[str], terminal: Terminal) -> int:
    try:
        return int(build()(given, prog_name="agentflow", standalone_mode=False) or 0)
    except typer.TyperException as error:
        return _misused(error, terminal)
    except (typer.Abort, EOFError, KeyboardInterrupt):
        print(file=sys.stderr)
        return ExitCode.INTERRUPTED


def _misused(error: typer.TyperException, terminal: Terminal) -> int:
    """One line for a command that cannot be understood; the whole help for none at all."""
    sentence = error.format_message()
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(sentence)
        return error.exit_code
    path = context.command_path if context else "agentflow"
    print(f"{path}: {safe(' '.join(sentence.split()))} (see {path} --help)", file=sys.stderr)
    if terminal.as_json:
        terminal.answer(
            {"error": {"type": "UsageError", "message": sentence, "exit_code": error.exit_code}}, lambda: None
        )
    return error.exit_code
