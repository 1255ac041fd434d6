"""A model at the other end of a network: a wire, where to send it, how long to wait, and what it costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from agentflow.agents.models import exchange
from agentflow.agents.models.clients import client_of
from agentflow.agents.models.prices import price_of
from agentflow.agents.models.problems import hidden
from agentflow.durations import describe
from agentflow.errors import InvalidSetting, ModelError, ModelNotAuthorized, ModelRequestRefused, ModelUnavailable

if TYPE_CHECKING:
    from agentflow.agents.messages import Reply, Request
    from agentflow.agents.models.base import OnText
    from agentflow.agents.models.options import Options
    from agentflow.agents.models.providers import Place, Provider

SHORTEST_SECRET = 8


class RemoteModel:
    """A `ChatModel` over HTTP. What it needs from the environment is read at each call, or by `require`."""

    def __init__(self, provider: Provider, model: str, options: Options) -> None:
        self._provider = provider
        self._model = model
        self._options = options
        self._name = f"{provider.name}:{model}"

    def __repr__(self) -> str:
        return f"model({self._name!r})"

    @property
    def name(self) -> str:
        """`provider:model`."""
        return self._name

    def require(self) -> None:
        """Return if it could be called. Raises `InvalidSetting` that says which variable is missing or wrong.

        The provider is not asked: whether it takes the key is seen at the first call.
        """
        self._place()
        price_of([self._name], self._options.prices)

    async def reply(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """The model's answer, whole. See `ChatModel.reply`; without a key to show it raises `ModelNotAuthorized`."""
        try:
            place = self._place()
            client = self._options.http or await client_of(place.url)
        except InvalidSetting as error:
            kind = ModelNotAuthorized if self._provider.lacks_key(self._options) else ModelRequestRefused
            raise kind(str(error), model=self._name) from None
        call = exchange.Call(
            name=self._name,
            wire=self._provider.make_wire(),
            model=self._model,
            place=place,
            options=self._options,
            request=request,
            on_text=on_text,
        )
        bound = asyncio.timeout(self._options.timeout.total_seconds())
        try:
            async with bound:
                reply = await call.over(client)
        except TimeoutError:
            if not bound.expired():
                raise
            waited = describe(self._options.timeout)
            raise ModelUnavailable(f"{self._name} did not answer within {waited}", model=self._name) from None
        except ModelError as error:
            error.args = (hidden(str(error), secrets=self._secrets(place), said=call.said()),)
            raise
        return self._priced(reply)

    def _place(self) -> Place:
        return self._provider.place(self._model, self._provider.make_wire(), self._options)

    def _secrets(self, place: Place) -> list[str]:
        return [place.key, *(one for one in self._options.headers.values() if len(one) >= SHORTEST_SECRET)]

    def _priced(self, reply: Reply) -> Reply:
        """The reply with its cost. Where nothing is told of what was used nothing is known of the cost either."""
        usage = reply.usage
        if usage.cost is not None or not usage.tokens:
            return reply
        price = price_of(self._names(reply), self._options.prices)
        return reply if price is None else replace(reply, usage=replace(usage, cost=price.cost(usage)))

    def _names(self, reply: Reply) -> list[str]:
        """What it is priced by: the name it is asked by, then the model that answered, which may be more exact."""
        sellers = [self._provider.name, self._provider.priced_as]
        models = [self._model, reply.model]
        return [f"{seller}:{model}" for model in models for seller in sellers if seller and model]
