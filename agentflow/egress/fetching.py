"""One call and its answer, within a policy's limits of size and time."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import AnswerLost, AnswerTooLarge, EgressRefused, HostUnreachable
from agentflow.later import later

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    import httpx

    from agentflow.egress import transport
    from agentflow.egress.policy import Egress
else:
    httpx = later("httpx")
    transport = later("agentflow.egress.transport")

_GZIP: Final = 31  # zlib's number for "gzip, and nothing else"
_REDIRECTS: Final = {301, 302, 303, 307, 308}
_SEE_OTHER: Final = 303
_MOVED: Final = (301, 302)
_CARRIED_ON: Final = {"accept", "accept-language", "user-agent", "content-type"}
_SENT: Final = "send_request_headers.started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `headers` are in lower case; `content` is decompressed; `url` is the last that was called."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str

    @property
    def media_type(self) -> str:
        """`application/json`, without parameters; empty where the answer does not say."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def text(self) -> str:
        """The content as the text it says it is, UTF-8 where it does not; what is none of it shows as `�`."""
        charset = self.headers.get("content-type", "").lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
        try:
            return self.content.decode(charset or "utf-8", "replace")
        except (LookupError, ValueError):
            return self.content.decode("utf-8", "replace")


@dataclass(slots=True)
class _Call:
    """One request, as it is now: what is redirected changes it."""

    method: str
    url: httpx.URL
    headers: dict[str, str]
    content: bytes
    is_sent: bool = field(default=False)

    @property
    def place(self) -> str:
        """Where it goes, without what may be secret in a path or query."""
        return f"{self.method} {self.url.scheme}://{self.url.netloc.decode('ascii')}"

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        """Learn from the pool when the first byte is about to leave."""
        self.is_sent = self.is_sent or event.endswith(_SENT)


async def fetch(
    policy: Egress, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes = b""
) -> Answer:
    """The answer to one call under the policy, whatever its status.

    Raises `EgressRefused` or `HostUnreachable`, having sent nothing (redirected, not to the next), `AnswerLost` where
    the call may have been heard, and `AnswerTooLarge`, where it was.
    """
    call = _Call(method.upper(), policy.check(url), _clean(headers or {}), content)
    limit: timedelta = policy.timeout  # type: ignore[assignment]  # made a timedelta when the policy was
    try:
        async with asyncio.timeout(limit.total_seconds()), transport.EgressTransport(policy) as way:
            for left in range(policy.redirects, -1, -1):
                answer = await _answer(policy, way, call)
                target = answer.headers.get("location", "")
                if not left or answer.status not in _REDIRECTS or not target:
                    return answer
                call = _redirected(policy, call, answer.status, target)
    except TimeoutError:
        raise _lost(call, f"no whole answer within {limit.total_seconds():g} s") from None
    except httpx.TransportError as error:
        raise _lost(call, f"{type(error).__name__}: {error}") from error
    raise AssertionError("unreachable")


def _lost(call: _Call, said: str) -> AnswerLost | HostUnreachable:
    if call.is_sent:
        return AnswerLost(f"{call.place}: {said}. The call may have been heard and acted upon")
    return HostUnreachable(f"{call.place}: {said}. Nothing was sent")


async def _answer(policy: Egress, way: transport.EgressTransport, call: _Call) -> Answer:
    request = httpx.Request(
        call.method, call.url, headers=call.headers, content=call.content or None, extensions={"trace": call.trace}
    )
    response: httpx.Response = await way.handle_async_request(request)
    try:
        content = b"" if call.method == "HEAD" else await _content(policy, call, response)
    except AnswerTooLarge as error:
        error.status = response.status_code
        raise
    finally:
        await response.aclose()
    return Answer(status=response.status_code, headers=dict(response.headers), content=content, url=str(call.url))


async def _content(policy: Egress, call: _Call, response: httpx.Response) -> bytes:
    """The body, never more of it in memory than the policy allows, compressed or not."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "", "gzip", "x-gzip"):
        raise AnswerLost(f"{call.place}: the answer is encoded as {coding[:40]!r}, which was not asked for")
    unpacked = zlib.decompressobj(_GZIP) if "gzip" in coding else None
    found, raw = bytearray(), 0
    async for part in response.aiter_raw():
        raw += len(part)
        try:
            found += part if unpacked is None else unpacked.decompress(part, policy.max_bytes + 1 - len(found))
        except zlib.error:
            raise AnswerLost(f"{call.place}: the answer says it is gzip and is not") from None
        if raw > policy.max_bytes or len(found) > policy.max_bytes:
            raise AnswerTooLarge(
                f"{call.place} answered {response.status_code} with more than {policy.max_bytes} bytes; "
                "see Egress(max_bytes=)"
            )
    if unpacked is not None and raw and not unpacked.eof:
        raise AnswerLost(f"{call.place}: the answer, which is compressed, broke off")
    return bytes(found)


def _redirected(policy: Egress, call: _Call, status: int, target: str) -> _Call:
    """The call that a redirect asks for, judged anew. Raises `EgressRefused`."""
    try:
        url = policy.check(call.url.join(target))
    except httpx.InvalidURL:
        raise EgressRefused(rule="redirect", host=call.url.host, said="it redirects to what is no URL") from None
    is_same = (url.scheme, url.host, url.port) == (call.url.scheme, call.url.host, call.url.port)
    becomes_get = (status == _SEE_OTHER and call.method != "HEAD") or (status in _MOVED and call.method == "POST")
    content = b"" if becomes_get else call.content
    if call.url.scheme == "https" and url.scheme == "http":
        raise EgressRefused(rule="redirect", host=url.host, said="it redirects from https to http")
    if content and not is_same:
        raise EgressRefused(rule="redirect", host=url.host, said="it redirects a body to another origin")
    kept = {name: value for name, value in call.headers.items() if is_same or name in _CARRIED_ON}
    if becomes_get:
        kept.pop("content-type", None)
    return _Call("GET" if becomes_get else call.method, url, kept, content, call.is_sent)


def _clean(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers in lower case. Raises `EgressRefused` for a value that would be two, without showing it."""
    cleaned = {name.lower(): value for name, value in headers.items()}
    for name, value in cleaned.items():
        if not value.isascii() or not value.isprintable() or not name.replace("-", "").replace("_", "").isalnum():
            said = f"header {name!r} has characters in it that no header may have"
            raise EgressRefused(rule="header", said=said)
    return cleaned | {"accept-encoding": "gzip", "connection": "close"}
