"""Errors as answers: a page for a person, a problem document (RFC 9457) for a program; never a stack, SQL or a path."""

import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from litestar import Response
from litestar.exceptions import HTTPException

from agentflow.errors import (
    AgentflowError,
    AlreadyDecided,
    ApprovalExpired,
    CallbackLapsed,
    Conflict,
    DefinitionError,
    FieldProblem,
    ForkRefused,
    IllegalTransition,
    InvalidDecision,
    InvalidDuration,
    InvalidInput,
    InvalidMessage,
    InvalidName,
    InvalidSetting,
    NotAuthentic,
    NotFound,
    PayloadError,
    PayloadTooLarge,
    QueueFull,
    StaleVersion,
    StoreUnavailable,
)
from approvals_ui.views import Asked, bare_page

log = logging.getLogger("approvals_ui")

STATUS_OF: Final[dict[type[AgentflowError], int]] = {
    ApprovalExpired: 410,
    CallbackLapsed: 410,
    StaleVersion: 412,
    QueueFull: 429,
    Conflict: 409,
    DefinitionError: 422,  # a schedule that a program makes
    ForkRefused: 422,
    IllegalTransition: 409,
    InvalidDecision: 422,
    InvalidDuration: 422,
    InvalidInput: 422,
    InvalidName: 422,
    InvalidMessage: 422,
    InvalidSetting: 400,  # a cursor that no listing gave
    NotAuthentic: 401,
    NotFound: 404,
    PayloadTooLarge: 413,
    PayloadError: 422,
    StoreUnavailable: 503,
}
TEXTS: Final = {
    400: "The request cannot be read. Nothing was changed.",
    403: "This is not allowed. Nothing was changed.",
    404: "There is nothing under this address.",
    405: "This address does not take that method; the header Allow names those it takes. Nothing was changed.",
    413: "The request is larger than this address takes. Nothing was changed.",
    415: "This address does not take that content type. Nothing was changed.",
    500: "Something went wrong in the inbox itself. Nothing more is known to have been changed.",
    503: "The database cannot be asked just now. Nothing was changed; try again in a moment.",
    504: "The database did not say whether it stored this. Look at how it stands; to send the same request again, with "
    "the same id or idempotency key, never makes it happen twice.",
}
PROBLEM_JSON: Final = "application/problem+json"


class Refused(HTTPException):
    """An answer of ours whose text is fit for whoever asked; nothing was changed.

    `kind` names the problem where the status alone does not, `errors` the fields it is about.
    """

    def __init__(
        self,
        status: int,
        text: str,
        *,
        kind: str = "",
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail=text, status_code=status, headers=None if headers is None else dict(headers))
        self.kind = kind
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDocument:
    """What a program is told: `type` names the kind of problem for good, `errors` the fields it is about."""

    type: str
    title: str
    status: int
    detail: str
    errors: Sequence[FieldProblem] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def describe(error: Exception) -> ProblemDocument:
    """What may be said about an error. Unknown ones are logged under an id, and only the id is told."""
    if isinstance(error, AgentflowError):
        status = next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), None)
        if status is not None:
            return _of_ours(error, status)
    if isinstance(error, Refused) or (
        isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        return _of_http(error)
    reference = secrets.token_hex(4)
    log.error("unexpected error %s", reference, exc_info=error)
    detail = f"{TEXTS[500]} The log has the details under {reference}."
    return ProblemDocument(type=kind_of("internal error"), title="Internal error", status=500, detail=detail)


def as_json(document: ProblemDocument) -> Response[dict[str, Any]]:
    """The problem for a program."""
    body: dict[str, Any] = {
        "type": document.type,
        "title": document.title,
        "status": document.status,
        "detail": document.detail,
        **document.facts,
    }
    if document.errors:
        body["errors"] = [{"field": one.field, "found": one.found, "wanted": one.wanted} for one in document.errors]
    return Response(body, status_code=document.status, media_type=PROBLEM_JSON, headers=_headers(document))


def answer(request: Asked, error: Exception) -> Response[Any]:
    """Whatever an endpoint raised, as a page or a problem document. It asks the store for nothing."""
    document = describe(error)
    if not wants_page(request):
        return as_json(document)
    kept = request.state.get("submission") if isinstance(error, StoreUnavailable) else None
    response = bare_page(
        request, request.app.state.desk, "error.html", status=document.status, problem=document, kept=kept
    )
    response.headers.update(_headers(document))
    if isinstance(error, StoreUnavailable) and request.method == "GET":
        response.headers["refresh"] = "5"
    return response


def _of_http(error: HTTPException) -> ProblemDocument:
    status, headers = error.status_code, dict(error.headers or {})
    if isinstance(error, Refused):
        title = error.kind.replace("-", " ").capitalize() or HTTPStatus(status).phrase
        text, errors = error.detail, error.errors
    else:
        title, text, errors = HTTPStatus(status).phrase, TEXTS.get(status, TEXTS[400]), ()
    return ProblemDocument(type=kind_of(title), title=title, status=status, detail=text, errors=errors, headers=headers)


def _of_ours(error: AgentflowError, status: int) -> ProblemDocument:
    errors = error.errors if isinstance(error, InvalidInput | InvalidDecision) else ()
    if isinstance(error, StoreUnavailable):
        return _of_the_store(error)
    facts = {}
    if isinstance(error, AlreadyDecided):
        facts = {"outcome": error.outcome, "decided_by": error.decided_by}
    title = title_of(type(error))
    detail = str(error)
    return ProblemDocument(type=kind_of(title), title=title, status=status, detail=detail, errors=errors, facts=facts)


def title_of(kind: type[AgentflowError]) -> str:
    """What problems made of such an error are called: "Run not found"."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).capitalize()


def _of_the_store(error: StoreUnavailable) -> ProblemDocument:
    """Its own words name files and servers, which are nobody's business here."""
    status = HTTPStatus.GATEWAY_TIMEOUT if error.may_be_stored else HTTPStatus.SERVICE_UNAVAILABLE
    kind, title = "store unavailable", "The database is away"
    if error.may_be_stored:
        kind, title = "outcome unknown", "Outcome unknown"
    facts = {"may_be_stored": error.may_be_stored}
    return ProblemDocument(type=kind_of(kind), title=title, status=status, detail=TEXTS[status], facts=facts)


def kind_of(title: str) -> str:
    """The `type` of the problems with this title, which stays for good."""
    return f"urn:agentflow:problem:{title.lower().replace(' ', '-')}"


def _headers(document: ProblemDocument) -> dict[str, str]:
    """With those of the error itself: which methods there are (405), when to come again."""
    is_for_now = document.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)
    return ({"retry-after": "1"} if is_for_now else {}) | dict(document.headers)


def wants_page(request: Asked) -> bool:
    """Whether a person's browser asked: the API, the hooks and programs that accept no HTML get JSON."""
    if request.url.path.startswith(("/api/", "/hooks/", "/health", "/ready", "/live", "/static/")):
        return False
    return "text/html" in request.headers.get("accept", "")
