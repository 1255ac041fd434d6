"""Pages from templates: the one place where Jinja, the session cookie and the navigation's counts meet."""

from __future__ import annotations

from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response

from agentflow.approvals.pointers import humanise
from agentflow.limits import change_in_words, described
from agentflow.records import Counts
from agentflow.states import ApprovalStatus
from approvals_ui import text
from approvals_ui.caller import caller_in
from approvals_ui.calls import headline, most_telling, own_title
from approvals_ui.desk import Desk
from approvals_ui.markdown import render
from approvals_ui.sessions import FIELD, cookie, form_token, is_session, new_session, sent_cookie
from approvals_ui.talks import arguments, cut, left_of, one_line

Asked = Request[Any, Any, Any]

APPROVAL_LABELS: Final = {ApprovalStatus.CANCELLED: "Withdrawn", ApprovalStatus.SUPERSEDED: "Replaced"}


def _label(word: str) -> str:
    """A status or another stored word, for people."""
    if isinstance(word, ApprovalStatus) and word in APPROVAL_LABELS:
        return APPROVAL_LABELS[word]
    return word.replace("_", " ").capitalize()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("approvals_ui", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "arguments": arguments,
        "change": change_in_words,
        "count": text.count,
        "cut": cut,
        "detail": text.detail,
        "headline": headline,
        "humanise": humanise,
        "iso": text.iso,
        "label": _label,
        "limits": described,
        "local": text.local,
        "left": left_of,
        "markdown": render,
        "own_title": own_title,
        "money": text.money,
        "one_line": one_line,
        "percent": text.percent,
        "plain": text.plain,
        "pretty": text.pretty,
        "pretty_json": text.pretty_json,
        "relative": text.relative,
        "short": text.short,
        "sides": text.sides,
        "show": text.show,
        "span": text.span,
        "telling": most_telling,
    }
    environment.tests |= {"large": text.is_large, "suspicious": text.suspicious}
    return environment


ENVIRONMENT: Final = _environment()


def fragment(request: Asked, desk: Desk, template: str, *, status: int = 200, **context: Any) -> Response[str]:
    """A part of a page, for a script that puts it where the old one was."""
    html = ENVIRONMENT.get_template(template).render(**_given(request, desk), **context)
    return Response(html, status_code=status, media_type=MediaType.HTML)


async def page(request: Asked, desk: Desk, template: str, *, status: int = 200, **context: Any) -> Response[str]:
    """A whole page, with a session for the forms in it and the counts beside its navigation."""
    around = {"counts": await desk.client.counts(), "head": await desk.client.head()}
    return bare_page(request, desk, template, status=status, **(around | context))


def bare_page(request: Asked, desk: Desk, template: str, *, status: int = 200, **context: Any) -> Response[str]:
    """The same without asking the store for anything."""
    session = sent_cookie(request)
    cookies = []
    if session is None or not is_session(desk.secret, session):
        session = new_session(desk.secret)
        cookies = [cookie(request, session)]
    html = ENVIRONMENT.get_template(template).render(
        **_given(request, desk),
        csrf_field=FIELD,
        csrf_token=form_token(desk.secret, session),
        path=request.url.path,
        **({"counts": Counts(), "head": None} | context),
    )
    return Response(html, status_code=status, media_type=MediaType.HTML, cookies=cookies)


def _given(request: Asked, desk: Desk) -> dict[str, Any]:
    """What every template may ask: the time, who looks, and what they may do; nobody may do anything."""
    caller = caller_in(request.scope)
    can = caller.may if caller is not None else lambda _: False
    return {"now": desk.client.now(), "caller": caller, "can": can, "dev": desk.dev}
