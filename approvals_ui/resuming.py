"""Where the reader of a stream goes on: what it has already."""

import re
from typing import Final

from approvals_ui.problems import Refused
from approvals_ui.views import Asked

HEADER: Final = "last-event-id"
ID: Final = re.compile(r"[0-9]{1,19}")
LAST: Final = 2**63 - 1


def last_read(request: Asked, *, after: int | None, otherwise: str) -> int | None:
    """The id after which to go on: the header Last-Event-ID, which browsers send by themselves, before `after`.

    Raises `Refused` (400) if what was sent is no id of a stream; `otherwise` is what leaving it out is good for.
    """
    told = request.headers.get(HEADER, "")
    if told and not (ID.fullmatch(told) and int(told) <= LAST):
        raise Refused(
            400, f"Last-Event-ID is no id of this stream; leave it out to {otherwise}.", kind="invalid-header"
        )
    if not told and after is not None and not -LAST <= after <= LAST:
        raise Refused(400, f"after is no id of this stream; leave it out to {otherwise}.", kind="invalid-query")
    return int(told) if told else after
