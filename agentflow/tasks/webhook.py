"""Webhooks as declared in code: a path, how its requests are shown to be authentic, and the task they start."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from agentflow.errors import DefinitionError, InvalidSetting
from agentflow.limits import Rate
from agentflow.tasks.payload_functions import PayloadFunction
from agentflow.tasks.step import operation_name
from agentflow.verifiers.base import Verifier
from agentflow.verifiers.unproven import Unverified

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import TypeVar

    from agentflow.tasks.task import Task

    AnyTask = TypeVar("AnyTask", bound=Task[..., Any])

PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
LONGEST_PATH: Final = 200
MIB: Final = 1024 * 1024
LARGEST_BODY: Final = 16 * MIB
DEEPEST: Final = 200
MOST_AT_A_RATE: Final = 10_000
"""Each webhook with a rate remembers so many times."""


class WebhookOptions(TypedDict, total=False):
    """What `@task.webhook` takes besides the path; see `Webhook`."""

    verify: Verifier | None
    input: Callable[..., Any] | None
    where: Callable[..., Any] | None
    rate: Rate | str | None
    max_body: int
    max_depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An authentic request, for `where` and `input`: its delivery id, its headers, and the payload as it came.

    The headers are by lower-case name, without those that prove the request; one that was sent several times is one
    text with commas between.
    """

    id: str
    headers: Mapping[str, str]
    payload: Any
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Webhook:
    """Starts `task`, a task or the id of one, with what is posted to `/hooks` and `path`: once for each delivery.

    `verify` says what is authentic: `agentflow.verifiers` has the ways of Standard Webhooks, GitHub, Stripe, Slack and
    others. Left out, everything is, and it is served under `--dev` only. `where` says of a payload whether it is to
    start a run, and `input` what of it the task is given: its parameters by name, or the value of its only one. Each is
    a function, `async` or not, of the payload, converted to what its parameter is annotated with, and if it has a
    second parameter of the `Received`. Without `input` a task of one parameter gets the payload, one of several its
    members by name. `rate` ("50/s") bounds the authentic requests that are looked at, in each program that serves the
    path; `max_body` is in bytes, and `max_depth` counts how lists and objects may lie within each other.
    """

    path: str
    task: str
    verify: Verifier | None
    input: PayloadFunction | None = field(repr=False)
    where: PayloadFunction | None = field(repr=False)
    rate: Rate | None
    max_body: int
    max_depth: int

    def __init__(
        self,
        path: str,
        *,
        task: Task[..., Any] | str,
        verify: Verifier | None = None,
        input: Callable[..., Any] | None = None,
        where: Callable[..., Any] | None = None,
        rate: Rate | str | None = None,
        max_body: int = MIB,
        max_depth: int = 100,
    ) -> None:
        """Raises `DefinitionError` for a path, task, verifier, function or limit that cannot work."""
        named = f"webhook {_path(path)}"
        for name, value in (
            ("path", path),
            ("task", _task_id(task, named)),
            ("verify", _verifier(verify, named)),
            ("input", _function(input, f"input= of {named}")),
            ("where", _function(where, f"where= of {named}")),
            ("rate", _rate(rate, named)),
            ("max_body", _within("max_body", max_body, LARGEST_BODY, named)),
            ("max_depth", _within("max_depth", max_depth, DEEPEST, named)),
        ):
            object.__setattr__(self, name, value)

    @property
    def verifier(self) -> Verifier:
        """How requests are verified; where nothing was said, not at all."""
        return self.verify or Unverified()

    @property
    def caution(self) -> str:
        """What is to be said loudly when this webhook is served, and on its page; empty if it verifies requests."""
        if self.verify is None:
            return (
                f"webhook {self.path} has no verify=: whoever reaches it can start {self.task!r}; only --dev serves it"
            )
        if self.verify.is_open:
            return f"webhook {self.path} is unverified(): whoever reaches it can start {self.task!r}"
        return ""

    def require_ready(self, *, dev: bool) -> None:
        """Raise `InvalidSetting` where it cannot be served: without a verifier, unless `dev`, or without its secrets.

        Called at start-up, since otherwise its first request would be the first to say so. Raises `DefinitionError` for
        an annotation of its functions that cannot be resolved.
        """
        if self.verify is None and not dev:
            raise InvalidSetting(
                f"webhook {self.path} has no verify=, so anybody could start {self.task!r}. Give it a verifier such as "
                'verify=github(Secret.env("GITHUB_SECRET")), or verify=unverified() if anybody may; --dev serves it as '
                "it is, on this machine only"
            )
        try:
            self.verifier.require_secrets()
        except InvalidSetting as error:
            raise InvalidSetting(f"webhook {self.path}: {error}") from error
        for one in (self.where, self.input):
            if one is not None:
                one.check()


def webhook(path: str, **options: Unpack[WebhookOptions]) -> Callable[[AnyTask], AnyTask]:
    """The task it is put above, started by what is posted to `/hooks` and `path`; see `Webhook`."""

    def add(task: AnyTask) -> AnyTask:
        if not hasattr(task, "add_webhook"):
            name = getattr(task, "__qualname__", repr(task))
            raise DefinitionError(f"@task.webhook({path!r}) is on {name}, which is no task; put it above @task")
        task.add_webhook(Webhook(path, task=task, **options))
        return task

    return add


def _path(path: str) -> str:
    if not isinstance(path, str) or not PATH.fullmatch(path) or len(path) > LONGEST_PATH:
        nearest = "/" + ("/".join(part for part in re.split(r"[^A-Za-z0-9_~-]+", str(path)) if part) or "orders")
        raise DefinitionError(
            f"webhook path {str(path)[:LONGEST_PATH]!r}: wanted letters, digits and . _ ~ - after each /, "
            f"{LONGEST_PATH} characters at most, as in {nearest[:60]!r}"
        )
    return path


def _task_id(task: Task[..., Any] | str, named: str) -> str:
    task_id = task if isinstance(task, str) else getattr(task, "id", None)
    if not isinstance(task_id, str):
        raise DefinitionError(f"{named} starts {task!r}; wanted a task, or the id of one")
    return operation_name(task_id)


def _verifier(verify: Verifier | None, named: str) -> Verifier | None:
    if verify is not None and not isinstance(verify, Verifier):
        kind = type(verify).__name__  # and not what it is: it may be the secret itself
        raise DefinitionError(
            f"{named}: verify= is of type {kind}; wanted a verifier, such as github(Secret.env(NAME)) of "
            "agentflow.verifiers"
        )
    return verify


def _function(function: Callable[..., Any] | None, name: str) -> PayloadFunction | None:
    return None if function is None else PayloadFunction.of(function, name=name)


def _rate(rate: Rate | str | None, named: str) -> Rate | None:
    if rate is None:
        return None
    try:
        found = Rate.of(rate)
    except InvalidSetting as error:
        raise DefinitionError(f"{named}: rate: {error}") from error
    if found.amount > MOST_AT_A_RATE:
        raise DefinitionError(
            f"{named}: rate={found.text!r}: at most {MOST_AT_A_RATE:,} are counted; say it for a shorter span"
        )
    return found


def _within(name: str, value: int, most: int, named: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise DefinitionError(f"{named}: {name}={value!r}: wanted a whole number from 1 to {most:,}")
    return value
