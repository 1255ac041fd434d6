"""The way out: an HTTP transport whose connections are made to judged addresses only.

It stands below the HTTP library's own handling of requests, so that whatever is done above (redirects, retries, other
people's clients) comes through here. Host header, SNI and the check of the certificate are those of the URL's host:
only where the connection goes is ours. It serves httpx, and httpx2, which some packages bring: they have one shape.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import httpcore
import httpx

from agentflow.errors import AnswerTooLarge, EgressRefused

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator

    from agentflow.egress.policy import Egress


class JudgedNetwork:
    """What opens connections for the pool: to the addresses the policy lets pass, as it has just seen them."""

    def __init__(self, policy: Egress, core: Any) -> None:
        self._policy = policy
        self._core = core
        self._plain = core.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: Any = None, socket_options: Any = None
    ) -> Any:
        """A connection to the first address that takes one. Raises `EgressRefused`, having connected to none."""
        try:
            addresses = await self._policy.addresses(host, port)
        except OSError as error:
            raise self._core.ConnectError(f"host {host} cannot be resolved: {error}") from error
        failures = []
        for address in addresses:
            try:
                return await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            except (self._core.ConnectError, self._core.ConnectTimeout) as error:
                failures.append(f"{address}: {error or type(error).__name__}")
        raise self._core.ConnectError("; ".join(failures))

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> Any:
        """No call goes to a socket in the file system."""
        raise EgressRefused(rule="scheme", host=path, said="sockets in the file system are not called")

    async def sleep(self, seconds: float) -> None:
        """The pool's own pause between its tries."""
        await self._plain.sleep(seconds)


class EgressTransport:
    """An asynchronous transport for `httpx.AsyncClient(transport=…)`, or httpx2's with its two modules given.

    It holds an answer to the policy's `max_bytes` as they come over the wire, but for streams of events; what they are
    unpacked, and how long all takes, is for the client above to limit, as `fetch` does.
    """

    def __init__(self, policy: Egress, *, http: Any = httpx, core: Any = httpcore) -> None:
        self._policy = policy
        self._http = http
        self._core = core
        self._pool = self._opened(policy.ssl_context or _trusted(http))
        self._body = type("Body", (_Body, http.AsyncByteStream), {})

    def _opened(self, trusted: ssl.SSLContext) -> Any:
        if self._policy.proxy is not None:
            return self._core.AsyncHTTPProxy(self._policy.proxy, ssl_context=trusted)
        return self._core.AsyncConnectionPool(
            ssl_context=trusted, network_backend=JudgedNetwork(self._policy, self._core)
        )

    async def handle_async_request(self, request: Any) -> Any:
        """The answer, its body unread. Raises `EgressRefused`, having sent nothing, or the HTTP library's errors."""
        url = self._policy.check(str(request.url))
        if request.headers.get("host", "").lower() != url.netloc.decode("ascii").lower():
            said = "the request's Host header names another host than its URL"
            raise EgressRefused(rule="host header", host=url.host, said=said)
        extensions = {name: value for name, value in request.extensions.items() if name != "sni_hostname"}
        sent = self._core.Request(
            method=request.method,
            url=self._core.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=extensions,
        )
        with self._translated():
            answer = await self._pool.handle_async_request(sent)
        kinds = [value for name, value in answer.headers if name.lower() == b"content-type"]
        is_endless = any(kind.lower().startswith(b"text/event-stream") for kind in kinds)
        return self._http.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=self._body(answer.stream, self._translated, None if is_endless else self._policy.max_bytes),
            extensions=answer.extensions,
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Let the pool's errors be those that users of the HTTP library know, which have the same names."""
        try:
            yield
        except Exception as error:
            for kind in type(error).__mro__:
                if kind.__module__.startswith(self._core.__name__):
                    known = getattr(self._http, kind.__name__, None)
                    if known is not None:
                        raise known(str(error)) from error
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


@cache
def _trusted(http: Any) -> ssl.SSLContext:
    """What is trusted where the policy says nothing: read once, since that takes longer than a call."""
    context: ssl.SSLContext = http.create_ssl_context()
    return context


class _Body:
    """An answer's body as it comes, up to `most` bytes; closed, its connection is free again or gone."""

    def __init__(self, stream: Any, translated: Any, most: int | None) -> None:
        self._stream = stream
        self._translated = translated
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        come = 0
        with self._translated():
            async for part in self._stream:
                come += len(part)
                if self._most is not None and come > self._most:
                    raise AnswerTooLarge(f"the answer has more than {self._most} bytes; see Egress(max_bytes=)")
                yield part

    async def aclose(self) -> None:
        await self._stream.aclose()
