"""What a wire is: one provider's way of being asked and of answering, as pure translation without any I/O.

A wire makes the body of a request out of our `Request`, and a `Reply` out of the JSON or the stream of events that
comes back. It knows neither addresses nor time-outs nor prices: `RemoteModel` puts those round it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from agentflow.agents.messages import Reply, Request


class Assembler(Protocol):
    """One streamed answer as it grows. Until its end has come it gives nothing but text to show."""

    @property
    def ended(self) -> bool:
        """Whether the provider has said that this was all: nothing further is read then, open as the stream may be."""
        ...

    def feed(self, event: str, data: str) -> str:
        """Take one server-sent event (`event` is "message" where the server named none); the text to show now, or "".

        Raises `ModelError`s: for what is no event of this wire, and for an error the provider reports in the stream.
        """
        ...

    def reply(self) -> Reply:
        """The whole answer. Raises `ModelAnswerCutOff` if the stream has not come to its proper end."""
        ...


class Wire(Protocol):
    """How one kind of provider is spoken to. `name` is everywhere the `provider:model` of usage and of errors."""

    @property
    def path(self) -> str:
        """What comes after the base URL: `/chat/completions`."""
        ...

    def headers(self, key: str) -> dict[str, str]:
        """The headers that carry the key, and those the provider wants besides; without the key's where it is ""."""
        ...

    def body(self, request: Request, model: str, *, stream: bool) -> dict[str, Any]:
        """The JSON to send. `model` is as the provider names it. `request.settings.extra` goes in last, as it is."""
        ...

    def reply(self, answer: Any, *, name: str) -> Reply:
        """The reply in a whole JSON answer; its usage has a `cost` only where the provider says what it charged.

        Raises `ModelAnswerCutOff` for what is no answer of this wire, `ModelRequestRefused` or `ModelUnavailable` for
        an error the provider reports under status 200.
        """
        ...

    def assembler(self, *, name: str) -> Assembler:
        """What a streamed answer is put together by."""
        ...

    def problem(self, status: int, body: Any) -> str:
        """The provider's words in an answer of this status, or "". `body` is JSON, or text as it came."""
        ...
