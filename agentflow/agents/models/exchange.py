"""One call of a model over HTTP: what is sent, and what is made of whatever comes back, or does not."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.models import problems
from agentflow.agents.models.sse import EventReader
from agentflow.clock import SystemClock
from agentflow.durations import describe
from agentflow.errors import ModelAnswerCutOff, ModelError, ModelRequestRefused, ModelUnavailable
from agentflow.later import later

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from datetime import datetime
    from email import utils as mail_dates

    import httpx

    from agentflow.agents.messages import Reply, Request
    from agentflow.agents.models.base import OnText
    from agentflow.agents.models.options import Options
    from agentflow.agents.models.providers import Place
    from agentflow.agents.models.wire import Assembler, Wire
else:
    httpx, mail_dates = later("httpx"), later("email.utils")

LARGEST_PROBLEM: Final = 64 * 1024
DRAIN_FOR: Final = 0.2
"""Seconds a stream may take to close after its last event, so that its connection can be used again."""
OK: Final = 200
REDIRECTS: Final = range(300, 400)
REFUSED: Final = 400


@dataclass(slots=True, kw_only=True)
class Call:
    """One request to one model. Nothing of its answer is given before all of it has come, but text to show."""

    name: str
    wire: Wire
    model: str
    place: Place
    options: Options
    request: Request
    on_text: OnText | None
    _has_begun: bool = field(default=False, init=False)

    async def over(self, client: httpx.AsyncClient) -> Reply:
        """The reply over this client. Raises a `ModelError` for everything that can go wrong on the way."""
        try:
            async with self._answer(client) as response:
                if response.status_code != OK:
                    raise await self._problem(response)
                if self._is_streamed() and "application/json" not in response.headers.get("content-type", ""):
                    return await self._assembled(response)
                return await self._whole(response)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._broken(error) from None  # it holds the request, and with it the key

    def said(self) -> Iterator[str]:
        """Every text that was sent to the model."""
        for message in self.request.messages:
            yield message.text
            yield from (call.arguments for call in message.calls)

    def _is_streamed(self) -> bool:
        return self.on_text is not None and self.options.stream

    @asynccontextmanager
    async def _answer(self, client: httpx.AsyncClient) -> AsyncIterator[httpx.Response]:
        options, is_streamed = self.options, self._is_streamed()
        whole = options.timeout.total_seconds()
        # An answer in one piece comes after all the thinking, so that its silence says nothing.
        silence = options.read_timeout.total_seconds() if is_streamed else whole
        bounds = httpx.Timeout(whole, connect=options.connect_timeout.total_seconds(), read=silence)
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if is_streamed else "application/json",
            **self.place.headers,
        }
        content = self._content(is_streamed=is_streamed)
        async with client.stream(
            "POST", self.place.url, content=content, headers=headers, timeout=bounds, follow_redirects=False
        ) as response:
            self._has_begun = True
            yield response

    def _content(self, *, is_streamed: bool) -> bytes:
        body = self.wire.body(self.request, self.model, stream=is_streamed)
        try:
            text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
        except (TypeError, ValueError) as error:
            raise ModelRequestRefused(
                f"the request to {self.name} is no JSON ({error}); look at the settings' `extra`", model=self.name
            ) from None
        return text.encode("utf-8", "replace")  # half a character, which text of others may hold, cannot be sent

    async def _assembled(self, response: httpx.Response) -> Reply:
        """The reply that the events of a stream make."""
        assembler, reader = self.wire.assembler(name=self.name), EventReader()
        async with aclosing(self._bytes(response)) as received:
            async for chunk in received:
                self._take(chunk, reader, assembler)
                if assembler.ended:
                    await _drained(received)
                    break
        return assembler.reply()

    def _take(self, chunk: bytes, reader: EventReader, assembler: Assembler) -> None:
        try:
            for event in reader.feed(chunk):
                text = assembler.feed(event.name, event.data)
                if text and self.on_text is not None:
                    self.on_text(text)
                if assembler.ended:
                    return
        except UnicodeDecodeError:
            raise self._cut_off("is not UTF-8") from None

    async def _whole(self, response: httpx.Response) -> Reply:
        """The reply in an answer that is one piece of JSON."""
        async with aclosing(self._bytes(response)) as received:
            content = b"".join([chunk async for chunk in received])
        try:
            answer = json.loads(content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise self._cut_off("is not UTF-8") from None
        except (ValueError, RecursionError):
            kind = response.headers.get("content-type", "")
            hint = " but a web page; is the base URL right?" if "html" in kind else ""
            raise self._cut_off(f"is no JSON{hint}") from None
        reply = self.wire.reply(answer, name=self.name)
        if self.on_text is not None and reply.message.text:
            self.on_text(reply.message.text)
        return reply

    async def _bytes(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """What comes, as long as it is not too much."""
        size = 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > self.options.max_size:
                raise self._cut_off(f"is longer than max_size={self.options.max_size} bytes")
            yield chunk

    def _cut_off(self, why: str) -> ModelAnswerCutOff:
        return ModelAnswerCutOff(f"the answer of {self.name} {why}; nothing of it was used", model=self.name)

    # -- what went wrong

    async def _problem(self, response: httpx.Response) -> ModelError:
        """The error that an answer of another status is."""
        wanted = ""
        if response.status_code in REDIRECTS:
            wanted = "it sends callers elsewhere, which is not followed; set the base URL to where it is"
        elif response.status_code < REFUSED:
            return self._cut_off(f"has the status {response.status_code}")
        now = _date(response.headers.get("date", ""))
        return problems.of_status(
            response.status_code,
            problems.tidy(self.wire.problem(response.status_code, await _body(response))),
            model=self.name,
            retry_after=problems.retry_after(response.headers, now),
            wanted=wanted,
        )

    def _broken(self, error: Exception) -> ModelError:
        """What an error of the connection means for the call."""
        words = problems.tidy(str(error)) or type(error).__name__
        match error:
            case httpx.ConnectTimeout():
                said = f"{self.name} could not be reached within {describe(self.options.connect_timeout)}"
            case httpx.ReadTimeout() if self._is_streamed():
                said = f"{self.name} said nothing for {describe(self.options.read_timeout)}"
            case httpx.TimeoutException():
                said = f"{self.name} did not answer within {describe(self.options.timeout)}"
            case httpx.LocalProtocolError() | httpx.InvalidURL() | httpx.UnsupportedProtocol():
                return ModelRequestRefused(
                    f"{self.name} cannot be asked so: {type(error).__name__}; look at its base URL and headers",
                    model=self.name,
                )
            case httpx.ConnectError() | httpx.ProxyError():
                said = f"{self.name} could not be reached: {words}"
            case _ if self._has_begun:
                return self._cut_off(f"broke off: {words}")
            case _:
                said = f"{self.name} broke off the connection before it answered: {words}"
        return ModelUnavailable(said, model=self.name)


def _plain(value: Any) -> Any:
    """Mappings that are no dicts, as frozen records hold them."""
    return dict(value)


async def _drained(received: AsyncGenerator[bytes, None]) -> None:
    """Return when the stream is closed, so that its connection can serve the next call; some never close it."""
    try:
        async with asyncio.timeout(DRAIN_FOR):
            async for _ in received:
                pass
    except (TimeoutError, ModelError, httpx.HTTPError):
        pass  # the answer is whole: what becomes of the connection is nobody's concern


async def _body(response: httpx.Response) -> Any:
    """What an answer that is none says, as JSON or as text, as far as it can be read."""
    content = b""
    try:
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > LARGEST_PROBLEM:
                break
    except httpx.HTTPError:
        pass  # the status says enough
    text = content[:LARGEST_PROBLEM].decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _date(text: str) -> datetime:
    """The provider's own time, by which it says until when it is to be left alone; else this machine's."""
    try:
        date = mail_dates.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return SystemClock().now()
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
