"""Posted forms: read as they were sent, and believed only with their session's token."""

from typing import Final
from urllib.parse import parse_qs

from agentflow.approvals import Submission
from approvals_ui.caller import caller_in
from approvals_ui.desk import Desk
from approvals_ui.problems import Refused
from approvals_ui.sessions import FIELD, sent_cookie, token_holds
from approvals_ui.views import Asked

MOST_FIELDS: Final = 50_000
FORM: Final = "application/x-www-form-urlencoded"


async def submission_of(request: Asked) -> Submission:
    """Every field with its values, in the order sent. Litestar's own reading would turn texts into numbers."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refused(415, f"This address takes forms ({FORM}) only. Nothing was changed.")
    try:
        text = (await request.body()).decode("ascii")
        found = parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise Refused(400, "The form cannot be read: it is not UTF-8, or has too many fields.") from error
    request.state.submission = found  # for a page that offers to send it again
    return found


def first(submission: Submission, name: str, default: str = "") -> str:
    """The first value of a field."""
    return next(iter(submission.get(name, ())), default)


async def require_token(request: Asked) -> None:
    """Let a form through only if a page of this very session rendered it; a program sends its token instead."""
    caller = caller_in(request.scope)
    if request.method != "POST" or (caller is not None and caller.is_program):
        return
    desk: Desk = request.app.state.desk
    token = first(await submission_of(request), FIELD)
    if not token_holds(desk.secret, sent_cookie(request), token):
        raise Refused(
            403,
            "This form does not belong to your session: the inbox was started anew, or the page is not ours. "
            "Nothing was changed. Go back, reload the page and send it again.",
        )
