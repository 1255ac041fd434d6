"""Chat Completions, as OpenAI defined it and most others speak it, with the differences between them as fields.

Protocol: platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from agentflow.agents.models.chat_answers import reply_of
from agentflow.agents.models.chat_messages import instructed, messages_of, name_of
from agentflow.agents.models.chat_stream import ChatAssembler
from agentflow.agents.models.problems import words_in
from agentflow.agents.models.schemas import output_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow.agents.messages import ModelSettings, OutputSpec, Reply, Request, ToolSpec

Output = Literal["json_schema", "json_object", "words"]
CHOICES: Final = frozenset({"auto", "none", "required"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCompletions:
    """The wire of `/chat/completions`. What `provider` gave to be handed back is handed to no other.

    `output` is how an answer of a schema is asked for: bound to the schema, bound to JSON with the schema in words, or
    in words alone. A stream is whole when `[DONE]` has come; with `has_done=False`, when a reason to finish has.
    """

    provider: str = "openai"
    path: str = "/chat/completions"
    key_header: str = "Authorization"
    max_tokens_field: str = "max_completion_tokens"
    seed_field: str = "seed"
    output: Output = "json_schema"
    asks_for_usage: bool = True
    has_done: bool = True
    has_short_ids: bool = False

    def headers(self, key: str) -> dict[str, str]:
        """The key, as a bearer token or in a header of its own."""
        if not key:
            return {}
        return {self.key_header: f"Bearer {key}" if self.key_header == "Authorization" else key}

    def body(self, request: Request, model: str, *, stream: bool) -> dict[str, Any]:
        """What to send."""
        messages = messages_of(request.messages, provider=self.provider, has_short_ids=self.has_short_ids)
        body: dict[str, Any] = {"model": model, "messages": messages}
        if request.output is not None:
            if self.output != "json_schema":
                body["messages"] = instructed(messages, request.output)
            if self.output != "words":
                body["response_format"] = self._format(request.output)
        if stream:
            body["stream"] = True
            if self.asks_for_usage:
                body["stream_options"] = {"include_usage": True}
        return {
            **body,
            **_tools(request.tools, request.settings),
            **self._settings(request.settings),
            **request.settings.extra,
        }

    def _format(self, output: OutputSpec) -> dict[str, Any]:
        if self.output == "json_object":
            return {"type": "json_object"}
        schema, is_strict = output_schema(output.schema)
        said = {"name": name_of(output.name), "schema": schema, "strict": is_strict}
        return {"type": "json_schema", "json_schema": said}

    def _settings(self, settings: ModelSettings) -> dict[str, Any]:
        said = {
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            self.max_tokens_field: settings.max_tokens,
            "stop": list(settings.stop) or None,
            self.seed_field: settings.seed,
            "reasoning_effort": settings.reasoning_effort,
        }
        return {key: value for key, value in said.items() if value is not None}

    def reply(self, answer: Any, *, name: str) -> Reply:
        """The reply in a whole answer."""
        return reply_of(answer, name=name, provider=self.provider)

    def assembler(self, *, name: str) -> ChatAssembler:
        """Puts a stream of chunks together."""
        return ChatAssembler(name=name, provider=self.provider, has_done=self.has_done)

    def problem(self, status: int, body: Any) -> str:  # noqa: ARG002  the wire's signature
        """The provider's words."""
        return words_in(body)


def _tools(tools: Sequence[ToolSpec], settings: ModelSettings) -> dict[str, Any]:
    if not tools:
        return {}
    said: dict[str, Any] = {
        "tools": [
            {
                "type": "function",
                "function": {"name": one.name, "description": one.description, "parameters": one.schema},
            }
            for one in tools
        ]
    }
    choice = settings.tool_choice
    if choice is not None:
        said["tool_choice"] = choice if choice in CHOICES else {"type": "function", "function": {"name": choice}}
    if settings.parallel_tool_calls is not None:
        said["parallel_tool_calls"] = settings.parallel_tool_calls
    return said
