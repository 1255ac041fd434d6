"""Webhooks as declared in code: a path, how its requests are verified, and the task they start."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agentflow.durations import duration
from agentflow.errors import (
    AgentflowError,
    DefinitionError,
    FieldProblem,
    InvalidDuration,
    InvalidInput,
    InvalidSetting,
)
from agentflow.tasks.secret import Secret
from agentflow.tasks.verifiers import KNOWN, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from agentflow.tasks.task import Task

    AnyTask = TypeVar("AnyTask", bound=Task[..., Any])
    MapInput = Callable[[Any], Mapping[str, Any]]

PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
LONGEST_PATH: Final = 200
MOST_DEPTH: Final = 100
LONGEST_TOLERANCE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Verified:
    """An authentic request: which delivery it is, its JSON body, the task's input made of it, and the body's digest."""

    delivery_id: str
    payload: Any
    input: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Webhook:
    """Starts `task` with what is posted to `path`, once for each delivery, if the request is authentic.

    `verify` is `"standard"` (Standard Webhooks), `"github"`, or an `HmacSignature` for another sender's header.
    Requests signed with any of `secrets` are taken, so that a secret can be replaced without losing one. `tolerance`
    is how far the time of sending may lie from now, where the sender signs it. The JSON body becomes the task's input:
    what `input` returns for it; else the value of `parameter`; else, as an object, the parameters by name.
    """

    path: str
    task: str
    secrets: tuple[Secret, ...]
    verifier: Verifier
    tolerance: timedelta
    parameter: str | None
    input: MapInput | None = field(repr=False)

    def __init__(
        self,
        path: str,
        task: str,
        *,
        secret: Secret | str | None = None,
        secrets: Sequence[Secret | str] = (),
        verify: str | Verifier = "standard",
        tolerance: str | float | timedelta = "5m",
        parameter: str | None = None,
        input: MapInput | None = None,
    ) -> None:
        """Raises `DefinitionError` for a path, secret, verifier or tolerance that cannot work."""
        every = [*([] if secret is None else [secret]), *([secrets] if isinstance(secrets, str | Secret) else secrets)]
        for name, value in (
            ("path", _path(path)),
            ("task", task),
            ("secrets", tuple(one if isinstance(one, Secret) else Secret(one) for one in every)),
            ("verifier", _verifier(path, verify)),
            ("tolerance", _tolerance(path, tolerance)),
            ("parameter", parameter),
            ("input", input),
        ):
            object.__setattr__(self, name, value)
        if not self.secrets:
            raise DefinitionError(f"webhook {path} has no secret, so anybody could post to it; give secret=")
        try:
            self._check_secrets(only_literal=True)
        except InvalidSetting as error:
            raise DefinitionError(str(error)) from error

    def require_secrets(self) -> None:
        """Raise `InvalidSetting`, naming the environment variable, if a secret is missing or cannot sign.

        Called at start-up: a webhook whose secret is missing would otherwise refuse its first request.
        """
        self._check_secrets(only_literal=False)

    def _check_secrets(self, *, only_literal: bool) -> None:
        for one in self.secrets:
            if only_literal and not one.is_literal:
                continue
            try:
                self.verifier.check_secret(one.reveal())
            except InvalidSetting as error:
                raise InvalidSetting(f"webhook {self.path}, {one!r}: {error}") from error

    def verify(self, headers: Sequence[tuple[str, str]], body: bytes, now: datetime) -> Verified:
        """What this request delivers; `headers` as received, doubles included, and `body` byte for byte.

        Raises `NotAuthentic` if it is forged, altered or late, and `InvalidInput` if it is authentic but no input for
        the task; nothing was stored in either case. `InvalidSetting` says that a secret is missing on this side.
        """
        delivery_id = self.verifier.delivery_id(
            headers, body, [one.reveal() for one in self.secrets], now=now, tolerance=self.tolerance
        )
        payload = self._payload(body)
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        return Verified(delivery_id, payload, self._input(payload), digest)

    def _payload(self, body: bytes) -> Any:
        try:
            payload = json.loads(
                body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
            )
        except UnicodeDecodeError as error:
            raise self._refusal(f"byte {body[error.start]:#04x} at {error.start}", "UTF-8 text") from error
        except RecursionError as error:
            raise self._refusal("deeper nesting", f"at most {MOST_DEPTH} levels") from error
        except ValueError as error:
            raise self._refusal(str(error), "a JSON document") from error
        if _is_deeper(payload, MOST_DEPTH):
            raise self._refusal("deeper nesting", f"at most {MOST_DEPTH} levels")
        return payload

    def _input(self, payload: Any) -> Mapping[str, Any]:
        if self.input is not None:
            mapped = self._mapped(payload, self.input)
        elif self.parameter is not None:
            mapped = {self.parameter: payload}
        else:
            mapped = payload
        if not isinstance(mapped, Mapping):
            raise self._refusal(type(mapped).__name__, f"an object of the parameters of {self.task} by name")
        return mapped

    def _mapped(self, payload: Any, map_input: MapInput) -> Mapping[str, Any]:
        try:
            return map_input(payload)
        except AgentflowError:
            raise
        except Exception as error:
            # It is code of the user's reading a stranger's text: a missing key says that the text does not fit.
            raise self._refusal(
                f"{type(error).__name__}: {error}", f"a body that input= of {self.path} reads"
            ) from error

    def _refusal(self, found: str, wanted: str) -> InvalidInput:
        return InvalidInput(task=self.task, errors=[FieldProblem(field="", found=found[:200], wanted=wanted)])


def webhook(
    path: str,
    *,
    secret: Secret | str | None = None,
    secrets: Sequence[Secret | str] = (),
    verify: str | Verifier = "standard",
    tolerance: str | float | timedelta = "5m",
    input: MapInput | None = None,
) -> Callable[[AnyTask], AnyTask]:
    """The task it is put above, with a webhook added: `@webhook("/orders", secret=Secret.env("KEY"))` over `@task`.

    A task of one parameter gets the whole body as its value; one of several gets the body's members by name.
    """

    def add(task: AnyTask) -> AnyTask:
        if not hasattr(task, "add_webhook"):
            name = getattr(task, "__qualname__", repr(task))
            raise DefinitionError(f"@webhook({path!r}) is on {name}, which is no task; put it above @task")
        parameters = list(inspect.signature(task.function).parameters)
        task.add_webhook(
            Webhook(
                path,
                task.id,
                secret=secret,
                secrets=secrets,
                verify=verify,
                tolerance=tolerance,
                parameter=parameters[0] if len(parameters) == 1 else None,
                input=input,
            )
        )
        return task

    return add


def _path(path: str) -> str:
    if not isinstance(path, str) or not PATH.fullmatch(path) or len(path) > LONGEST_PATH:
        nearest = "/" + ("/".join(part for part in re.split(r"[^A-Za-z0-9_~-]+", str(path)) if part) or "orders")
        raise DefinitionError(
            f"webhook path {path!r}: wanted letters, digits and . _ ~ - after each /, as {nearest[:60]!r}"
        )
    return path


def _verifier(path: str, verify: str | Verifier) -> Verifier:
    if not isinstance(verify, str):
        return verify
    if verify not in KNOWN:
        raise DefinitionError(
            f"webhook {path}: verify={verify!r} is unknown; wanted {' or '.join(map(repr, KNOWN))}, or an HmacSignature"
        )
    return KNOWN[verify]


def _tolerance(path: str, tolerance: str | float | timedelta) -> timedelta:
    try:
        span = duration(tolerance)
    except InvalidDuration as error:
        raise DefinitionError(f"webhook {path}: tolerance: {error}") from error
    if not timedelta() < span <= LONGEST_TOLERANCE:
        raise DefinitionError(f"webhook {path}: tolerance={tolerance!r}: wanted more than 0 and at most 1 hour")
    return span


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:50]!r} twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name}, which JSON does not have")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"the number {text[:50]}, which is out of range")
    return value


def _is_deeper(payload: Any, depth: int) -> bool:
    level = [payload]
    for _ in range(depth):
        level = [inner for one in level for inner in _members(one)]
    return any(isinstance(one, dict | list) for one in level)


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
