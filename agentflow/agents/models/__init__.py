"""Language models: by name, over HTTP, in one neutral shape; or any object of one's own that answers a request."""

from __future__ import annotations

import typing

from agentflow.later import names as _names

if typing.TYPE_CHECKING:
    from agentflow.agents.models.base import ChatModel
    from agentflow.agents.models.chat_completions import ChatCompletions
    from agentflow.agents.models.naming import model
    from agentflow.agents.models.prices import Price
    from agentflow.agents.models.providers import Provider, provider
    from agentflow.agents.models.wire import Assembler, Wire

__all__ = ["Assembler", "ChatCompletions", "ChatModel", "Price", "Provider", "Wire", "model", "provider"]

_MODULES: dict[str, tuple[str, ...]] = {
    "agentflow.agents.models.base": ("ChatModel",),
    "agentflow.agents.models.chat_completions": ("ChatCompletions",),
    "agentflow.agents.models.naming": ("model",),
    "agentflow.agents.models.prices": ("Price",),
    "agentflow.agents.models.providers": ("Provider", "provider"),
    "agentflow.agents.models.wire": ("Assembler", "Wire"),
}

if not typing.TYPE_CHECKING:
    __getattr__, __dir__ = _names(__name__, _MODULES)
