"""Reading requests as their endpoints declare them. What does not fit is refused by field, and nothing was changed."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from litestar import Response
from litestar.datastructures import Headers
from litestar.routes import HTTPRoute

from agentflow.errors import FieldProblem
from agentflow.payloads import shown
from approvals_ui.api.endpoint import EVENT_STREAM, Endpoint
from approvals_ui.api.fields import PATH_FIELDS, Asked
from approvals_ui.api.misfits import fields_of, meant, misfit_of, parts_of
from approvals_ui.api.strict import read_json
from approvals_ui.problems import Refused
from approvals_ui.views import Asked as Request

JSON: Final = "application/json"
PROBLEMS: Final = "application/problem+json"
BODIES: Final = frozenset({"POST", "PUT", "PATCH"})
MOST_FIELDS: Final = 100
BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
WHOLE: Final = re.compile(r"-?[0-9]{1,19}")
WORDS: Final = {"true": True, "false": False}

IS_NO: Final = re.compile(r";\s*q=0(\.0*)?\s*$")

T = TypeVar("T", bound=Asked)


async def checked(request: Request) -> Response[None] | None:
    """Refuse, before anything is read, an address, a content type or an `Accept` that no endpoint could do with.

    It answers OPTIONS itself: Litestar's own answer forgets methods of an address that several routes share.
    """
    if request.method == "OPTIONS":
        return _methods(request)
    if "\0" in request.scope["path"]:
        raise Refused(404, "There is nothing under this address: it has a NUL character in it.")
    said: Endpoint | None = request.route_handler.opt.get("endpoint")
    if said is None:
        return None
    _require_ids(request.scope["path_params"])
    _require_accepted(request.headers, said)
    if request.method in BODIES:
        await _require_json(request)
    query_of(request, said.query or Asked)
    return None


def _methods(request: Request) -> Response[None]:
    here = request.scope["path_template"]
    routes = (one for one in request.app.routes if isinstance(one, HTTPRoute) and one.path_format == here)
    allow = sorted({str(method) for route in routes for method in route.methods})
    return Response(None, status_code=204, headers={"allow": ", ".join(allow)})


def query_of(request: Request, kind: type[T]) -> T:
    """The parameters of the query. Raises `Refused` (400)."""
    given = _pairs(request)
    fields = fields_of(kind)
    values: dict[str, Any] = {}
    for name, text in given:
        if name not in fields:
            problem = FieldProblem(field=name, found=shown(text), wanted=f"no such parameter; {meant(name, fields)}")
            raise _unfit_query(problem)
        inner = _list_of(fields[name])
        if inner is not None:
            values.setdefault(name, []).append(_plain(text, inner))
        elif name in values:
            raise _unfit_query(FieldProblem(field=name, found="it more than once", wanted="one value"))
        else:
            values[name] = _plain(text, fields[name])
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise _unfit_query(misfit_of(error, values, kind, is_query=True)) from None


async def body_of(request: Request, kind: type[T]) -> T:
    """The body. Raises `Refused`: 400 for what is no JSON, 413 for too much of it, 422 for what does not fit."""
    said: Endpoint = request.route_handler.opt["endpoint"]
    body = await request.body()
    value = {} if said.is_body_optional and not body else read_json(body)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problem = misfit_of(error, value, kind)
    raise Refused(422, f"The body does not fit: {problem}. Nothing was changed.", kind="invalid-body", errors=[problem])


def _require_ids(given: Mapping[str, Any]) -> None:
    """What cannot be the id of anything need not be looked for. The value is not told again: one is a secret."""
    for name, value in given.items():
        try:
            msgspec.convert(value, PATH_FIELDS[name])
        except msgspec.ValidationError:
            raise Refused(404, f"There is nothing under this address: no {name} has this form.") from None


# -- headers


def _require_accepted(headers: Headers, said: Endpoint) -> None:
    told = [one for line in headers.getall("accept", []) for one in line.split(",") if one.strip()]
    if not told:
        return
    wanted = [_kind(one) for one in told if not IS_NO.search(one)]
    given = EVENT_STREAM if said.media_type == EVENT_STREAM else JSON
    fits = {given, PROBLEMS, "*/*", f"{given.partition('/')[0]}/*"}
    if fits.isdisjoint(wanted):
        raise Refused(406, f"This address gives {given}, which the header Accept leaves out. Nothing was changed.")


async def _require_json(request: Request) -> None:
    """A form of another site can send anything but this content type without asking first."""
    lines = request.headers.getall("content-type", [])
    if not lines and not await request.body():
        return
    kinds = {_kind(line) for line in lines}
    if kinds != {JSON}:
        raise Refused(415, "Send application/json. Nothing was changed.", headers={"accept-post": JSON})


def _kind(line: str) -> str:
    return line.partition(";")[0].strip().lower()


# -- the query


def _pairs(request: Request) -> list[tuple[str, str]]:
    raw: bytes = request.scope["query_string"]
    try:
        text = raw.decode("ascii")
        found = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise _unread("it is not UTF-8, or has too many parameters") from None
    if BAD_ESCAPE.search(text):
        raise _unread("a percent sign in it is followed by no two hexadecimal digits; write %25 for the sign itself")
    if any("\0" in part for pair in found for part in pair):
        raise _unread("it has a NUL character in it")
    return found


def _unread(why: str) -> Refused:
    return Refused(400, f"The query cannot be read: {why}. Nothing was changed.", kind="invalid-query")


def _unfit_query(problem: FieldProblem) -> Refused:
    text = f"A parameter of the query does not fit: {problem}. Nothing was changed."
    return Refused(400, text, kind="invalid-query", errors=[problem])


def _list_of(annotation: Any) -> Any:
    """What a list is of; None for what is no list."""
    return next((get_args(one)[0] for one in parts_of(annotation) if get_origin(one) is list), None)


def _plain(text: str, annotation: Any) -> Any:
    """The value that a parameter's text stands for; the text where it stands for none."""
    kinds = set(parts_of(annotation))
    if bool in kinds:
        return WORDS.get(text, text)
    return int(text) if int in kinds and WHOLE.fullmatch(text) else text
