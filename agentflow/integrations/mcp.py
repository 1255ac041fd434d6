"""The tools of MCP servers: programs started here, or servers reached by HTTP. Needs the extra `mcp`.

What a server says of its tools is recorded once a run, and stays what it was for that run: a server that changes its
list later changes the next run. Its hints about effects say how a call is made; whether a person is asked is the
program's own to say, and no hint takes that back unless it is trusted.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from agentflow.agents.http.credentials import headers_of, without
from agentflow.agents.http.declared import own_host
from agentflow.agents.http.naming import distinct, valid
from agentflow.agents.messages import ToolSpec
from agentflow.agents.tools.effects import ToolEffect
from agentflow.agents.tools.tool import Tool
from agentflow.clock import SystemClock
from agentflow.durations import duration
from agentflow.errors import AnswerLost, DefinitionError, HostUnreachable, InvalidSetting, ToolError
from agentflow.integrations.connections import Connections
from agentflow.integrations.protocol import answer_to, first_page, listed, require_package
from agentflow.integrations.telling import LONGEST_SCHEMA, shown, shown_schema, size_of, text_of
from agentflow.integrations.wanted import Wishes
from agentflow.retry import Retry
from agentflow.verifiers.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from agentflow.agents.tools.injecting import ToolContext
    from agentflow.egress import Egress

    Opening = Callable[[], AbstractAsyncContextManager[Any]]

_log: Final = logging.getLogger("agentflow.mcp")
_TRIES: Final = 3
_IDLE: Final = 30.0
_NOT_DONE: Final = Retry(retry_on=(HostUnreachable,))
_AGAIN: Final = Retry(give_up_on=(ToolError, InvalidSetting))


class McpServer:
    """A source of tools: give it to an agent beside its other tools.

    It connects when a run first asks, once in each event loop, and again when the connection was lost. The connection
    is closed by `aclose()`, by leaving `async with server`, and at the latest when the event loop ends.
    """

    def __init__(self, name: str, opening: Opening, wishes: Wishes, hidden: Callable[[], set[str]]) -> None:
        self._name = valid(name)
        self._wishes = wishes
        self._hidden = hidden
        self._connections = Connections(f"MCP server {self._name!r}", opening, timeout=duration(wishes.connect_timeout))
        self._heard_at = 0.0

    @classmethod
    def stdio(
        cls,
        command: str,
        *args: str,
        name: str = "",
        env: Mapping[str, str | Secret] | None = None,
        cwd: str | None = None,
        **wishes: Any,
    ) -> Self:
        """A server that is started here and spoken to through its standard input and output.

        It inherits PATH, HOME and the like of this program's environment and nothing else; `env` is added. For
        `wishes` see `Wishes`. Raises `DefinitionError`, also where the extra is not installed.
        """
        require_package()
        given = dict(env or {})

        @asynccontextmanager
        async def opening() -> AsyncIterator[Any]:
            from mcp import Client, StdioServerParameters  # noqa: PLC0415  an extra

            plain = {key: value.reveal() if isinstance(value, Secret) else value for key, value in given.items()}
            how = StdioServerParameters(command=command, args=list(args), env=plain, cwd=cwd)
            async with Client(how, cache=None) as client:
                yield client

        stem = command.replace("\\", "/").rpartition("/")[2]
        return cls(name or stem, opening, Wishes(**wishes), lambda: _revealed(given))

    @classmethod
    def http(
        cls,
        url: str,
        *,
        name: str = "",
        headers: Mapping[str, str | Secret] | None = None,
        egress: Egress | None = None,
        **wishes: Any,
    ) -> Self:
        """A server reached by streamable HTTP; without `egress`, calls go to the host of its URL and to no other.

        For `wishes` see `Wishes`. Raises `DefinitionError`, also where the extra is not installed.
        """
        require_package()
        given = headers_of(headers or {}, what=f"MCP server {url!r}")
        policy = own_host(f"MCP server {url!r}", url) if egress is None else egress
        host: str = policy.check(url).host

        @asynccontextmanager
        async def opening() -> AsyncIterator[Any]:
            import httpcore2  # noqa: PLC0415  an extra
            import httpx2  # noqa: PLC0415  an extra
            from mcp import Client  # noqa: PLC0415  an extra
            from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415  an extra

            from agentflow.egress import EgressTransport  # noqa: PLC0415  it imports an HTTP library

            await policy.addresses(host, policy.check(url).port or (443 if url.startswith("https") else 80))
            plain = {key: value.reveal() if isinstance(value, Secret) else value for key, value in given.items()}
            way: Any = EgressTransport(policy, http=httpx2, core=httpcore2)
            limits = httpx2.Timeout(duration(wishes.get("timeout", 60.0)).total_seconds(), read=300.0)
            async with (
                httpx2.AsyncClient(
                    transport=way, headers={**plain, "accept-encoding": "identity"}, timeout=limits, trust_env=False
                ) as http,
                Client(streamable_http_client(url, http_client=http), cache=None) as client,
            ):
                yield client

        return cls(name or host, opening, Wishes(**wishes), lambda: _revealed(given))

    @property
    def name(self) -> str:
        """What the journal calls it."""
        return self._name

    async def specs(self) -> list[ToolSpec]:
        """The tools the server has now, but for those that cannot be told to a model, of which the log says so.

        Raises `HostUnreachable` if it cannot be reached a few times in a row, and `AnswerLost`.
        """
        for left in range(_TRIES - 1, -1, -1):
            try:
                return self._told(await self._asked(listed))
            except HostUnreachable as error:
                if not left or error.retry_after is None:
                    raise
                await SystemClock().sleep(error.retry_after)
        raise AssertionError("unreachable")

    def tool(self, spec: ToolSpec) -> Tool[..., Any]:
        """The tool that was told of so. It asks the server nothing, which may be gone or have changed since."""
        theirs = spec.kept.get("tool", spec.name)
        hinted = ToolEffect(spec.kept.get("effect", ToolEffect.IRREVERSIBLE))
        effect = ToolEffect(self._wishes.effects.get(theirs, hinted))
        gate = self._wishes.gate(theirs, is_read=hinted is ToolEffect.READ)
        options = dict(self._wishes.options)
        options.setdefault("retry", _NOT_DONE if effect is ToolEffect.IRREVERSIBLE else _AGAIN)
        if gate is not None and gate is not False:
            options["needs_approval"] = gate

        async def call(arguments: Mapping[str, Any], _: ToolContext[Any]) -> Any:
            return await self._call(theirs, arguments)

        return Tool.of_schema(
            call,
            name=spec.name,
            description=spec.description,
            schema=spec.schema,
            origin=f"MCP server {self._name}, {theirs}",
            effect=effect,
            **options,
        )

    async def aclose(self) -> None:
        """Close the connection of this event loop; the next call opens another."""
        await self._connections.here().aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<MCP server {self._name}>"

    # -- asking

    async def _call(self, tool: str, arguments: Mapping[str, Any]) -> Any:
        seconds = duration(self._wishes.timeout).total_seconds()
        if asyncio.get_running_loop().time() - self._heard_at > _IDLE:
            await self._alive()

        async def calling(client: Any) -> Any:
            return await client.call_tool(tool, dict(arguments), read_timeout_seconds=seconds)

        found = await self._asked(calling)
        if found.is_error:
            raise ToolError(self._without_secrets(text_of(found.content)) or f"{tool} failed and did not say why")
        if found.structured_content is not None:
            return found.structured_content
        return self._without_secrets(text_of(found.content))

    async def _alive(self) -> None:
        """See that a server not heard of for a while is there, before it is asked for something that counts."""
        try:
            await self._asked(first_page)
        except AnswerLost:
            await self._connections.here().get()

    async def _asked(self, question: Callable[[Any], Any]) -> Any:
        """What the server answers. Raises `HostUnreachable`, `AnswerLost`, or `ToolError` with its own words."""
        connection = self._connections.here()
        client = await connection.get()
        answer, lost = await answer_to(question, client)
        if lost is not None:
            connection.lost(client)
            raise AnswerLost(self._without_secrets(f"MCP server {self._name!r}: {lost}")) from None
        if isinstance(answer, ToolError):
            raise ToolError(self._without_secrets(f"MCP server {self._name!r}: {answer}"))
        self._heard_at = asyncio.get_running_loop().time()
        return answer

    def _without_secrets(self, text: str) -> str:
        return without(text, self._hidden())

    # -- telling

    def _told(self, found: Sequence[Any]) -> list[ToolSpec]:
        wanted = [one for one in found if self._wishes.takes(one.name)]
        names = distinct([(f"{self._wishes.prefix}{one.name}", one.name) for one in wanted])
        specs = []
        for name, one in zip(names, wanted, strict=True):
            spec = ToolSpec(
                name=name,
                description=shown(one.description or one.title or f"{one.name} of {self._name}"),
                schema=shown_schema({"type": "object", **one.input_schema}),
                kept={"tool": one.name, "effect": _effect(one.annotations)},
            )
            try:
                if size_of(spec.schema) > LONGEST_SCHEMA:
                    raise DefinitionError(f"its schema has more than {LONGEST_SCHEMA} characters")  # noqa: TRY301  refused like any other
                self.tool(spec)
            except DefinitionError as error:
                _log.warning("tool %s of MCP server %s is left out: %s", shown(one.name, 100), self._name, error)
            else:
                specs.append(spec)
        return specs


def _effect(hints: Any) -> str:
    """What the server's hints say of a call; without any, what MCP takes for granted: that it may destroy."""
    if hints is not None and hints.read_only_hint:
        return ToolEffect.READ.value
    if hints is not None and hints.idempotent_hint:
        return ToolEffect.IDEMPOTENT.value
    return ToolEffect.IRREVERSIBLE.value


def _revealed(given: Mapping[str, str | Secret]) -> set[str]:
    return {value.reveal() for value in given.values() if isinstance(value, Secret)}
