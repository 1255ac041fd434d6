"""What an endpoint of the API says of itself: who may call it, what it takes, gives and refuses.

The reading of requests and the OpenAPI document are both made of this, so that they cannot say different things.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Self

import msgspec
from litestar import Response
from litestar.enums import MediaType

from agentflow.errors import AgentflowError
from agentflow.payloads import json_text
from approvals_ui.api.fields import Asked

PREFIX: Final = "/api/v1"
EVENT_STREAM: Final = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint. `gives` is what each status brings, None where it brings no content.

    `said` tells of a status what its name does not. `example` is a request body by the words that describe it. Without
    a `scope` there is another proof: a token in the address.
    """

    id: str
    summary: str
    tag: str
    scope: str | None
    gives: Mapping[int, Any]
    said: Mapping[int, str] = field(default_factory=dict)
    takes: type[Asked] | None = None
    is_body_optional: bool = False
    query: type[Asked] | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    raises: Sequence[type[AgentflowError]] = ()
    examples: Mapping[str, Any] = field(default_factory=dict)
    media_type: str = MediaType.JSON.value

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        """Itself: Litestar copies its routes with all they hold, and this is a value."""
        return self


def endpoint(
    id: str,
    summary: str,
    *,
    tag: str,
    scope: str | None,
    gives: Any = None,
    **more: Any,
) -> dict[str, Any]:
    """The `opt` of a route: its scope, for the guard, and its `Endpoint`."""
    by_status = gives if isinstance(gives, Mapping) else {200: gives}
    said = Endpoint(id=id, summary=summary, tag=tag, scope=scope, gives=by_status, **more)
    return {"scope": scope, "endpoint": said} if scope else {"endpoint": said}


def reply(view: Any, *, status: int = HTTPStatus.OK, location: str | None = None) -> Response[bytes]:
    """The answer; `location` is the path of what was made, below the prefix."""
    headers = {} if location is None else {"location": f"{PREFIX}{location}"}
    return Response(written(view), status_code=status, media_type=MediaType.JSON, headers=headers)


def nothing() -> Response[None]:
    """The answer that it is done."""
    return Response(None, status_code=HTTPStatus.NO_CONTENT)


def written(view: Any) -> bytes:
    """The view as JSON, also with whole numbers of any size in it."""
    try:
        return msgspec.json.encode(view)
    except OverflowError:
        return json_text(msgspec.to_builtins(view)).encode()
