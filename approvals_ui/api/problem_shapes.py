"""Problem documents as the OpenAPI document tells of them: which there are, and an example of each."""

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from agentflow.errors import AgentflowError
from approvals_ui.api.endpoint import Endpoint
from approvals_ui.api.fields import Told
from approvals_ui.problems import STATUS_OF, TEXTS, kind_of, title_of

Kind = type[AgentflowError] | str


class FieldProblemView(Told):
    """One thing wrong with one field: where (JSON Pointer, or a parameter's name), what was found, what is wanted."""

    field: Annotated[str, Meta(examples=["/input/number"])]
    found: Annotated[str, Meta(examples=["'12' (str)"])]
    wanted: Annotated[str, Meta(examples=["integer"])]


class Problem(Told):
    """A problem document (RFC 9457). `type` names the kind for good; `detail` is for people, and says what to do.

    Kinds have fields of their own besides: `outcome` and `decided_by` of a decision that came first, `scope` that is
    lacking, `may_be_stored` of a database that did not answer.
    """

    type: Annotated[str, Meta(pattern="^urn:agentflow:problem:[a-z0-9-]+$")]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: str


def _schema() -> dict[str, Any]:
    _, found = msgspec.json.schema_components([Problem, FieldProblemView])
    schema: dict[str, Any] = found["Problem"]
    errors = {"type": "array", "description": "The fields it is about.", "items": found["FieldProblemView"]}
    schema["properties"]["errors"] = errors
    return schema


PROBLEM_SCHEMA: Final = _schema()
"""With `errors`, which is left out where there are none."""

SAID: Final[Mapping[str, tuple[int, str]]] = {
    "invalid-query": (
        400,
        "A parameter of the query does not fit: limit: found 0 (int); wanted a whole number >= 1. Nothing was changed.",
    ),
    "invalid-json": (400, "The body is not JSON: Expecting value at line 1, column 1. Nothing was changed."),
    "invalid-header": (400, "Last-Event-ID is no id of this stream; leave it out to begin with the first."),
    "bad-request": (400, TEXTS[400]),
    "not-signed-in": (401, "This token is unknown, revoked or expired."),
    "scope-lacking": (403, "mia lacks the scope runs:write. Nothing was changed."),
    "not-found": (404, TEXTS[404]),
    "not-acceptable": (
        406,
        "This address gives application/json, which the header Accept leaves out. Nothing was changed.",
    ),
    "request-entity-too-large": (413, TEXTS[413]),
    "unsupported-media-type": (415, "Send application/json. Nothing was changed."),
    "invalid-body": (422, "The body does not fit: /task: found nothing; wanted a value. Nothing was changed."),
    "store-unavailable": (503, TEXTS[503]),
    "outcome-unknown": (504, TEXTS[504]),
}
TITLES: Final = {"store-unavailable": "The database is away", "scope-lacking": "Not allowed"}
EXAMPLES: Final = {
    "RunNotFound": "there is no run run_01kajx5q9b2m8v0d7t3y",
    "TaskNotFound": "there is no task 'dubble'; did you mean 'double'?",
    "InvalidInput": "input of task 'double' is refused, no run was made: /number: found '12' (str); wanted integer",
    "IllegalTransition": "run run_01kajx5q9b2m8v0d7t3y is completed and cannot be cancelled",
}


def problems_of(said: Endpoint, *, has_id: bool, is_write: bool) -> dict[int, list[Kind]]:
    """Which problems an endpoint may answer with, by status."""
    found: dict[int, list[Kind]] = {}
    named: list[Kind] = ["invalid-query", "bad-request", "not-acceptable", "store-unavailable", *said.raises]
    if said.headers:
        named.append("invalid-header")
    if said.scope is not None:
        named += ["not-signed-in", "scope-lacking"]
    if has_id:
        named.append("not-found")
    if is_write:
        named += ["unsupported-media-type", "outcome-unknown", "request-entity-too-large"]
    if said.takes is not None:
        named += ["invalid-json", "invalid-body"]
    for kind in named:
        found.setdefault(_status(kind), []).append(kind)
    return found


def problem_of(status: int, kind: Kind) -> dict[str, Any]:
    """An example of such a problem."""
    if isinstance(kind, str):
        title = TITLES.get(kind) or kind.replace("-", " ").capitalize()
        return {"type": kind_of(kind), "title": title, "status": status, "detail": SAID[kind][1]}
    title = title_of(kind)
    detail = EXAMPLES.get(kind.__name__) or inspect.cleandoc(kind.__doc__ or title).partition("\n")[0]
    return {"type": kind_of(title), "title": title, "status": status, "detail": detail}


def _status(kind: Kind) -> int:
    if isinstance(kind, str):
        return SAID[kind][0]
    return next(status for known, status in STATUS_OF.items() if issubclass(kind, known))
