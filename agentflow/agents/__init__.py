"""Agents: language models that call tools, as ordinary durable tasks.

An `Agent` is a task whose every model call and every tool call is a checkpoint. `tool` makes a function something an
agent may call; `ApprovalPolicy` has a person decide about a call; `RunBudget` says what a run may spend.
"""

from __future__ import annotations

import typing

from agentflow.later import names as _names

if typing.TYPE_CHECKING:
    from agentflow.agents.agent import Agent
    from agentflow.agents.budget import RunBudget
    from agentflow.agents.hooks import AgentHooks
    from agentflow.agents.http import api_key, basic, bearer, http_tool, openapi_tools
    from agentflow.agents.messages import Finish, Image, Message, ModelSettings, Reply, Request, Role, ToolCall
    from agentflow.agents.models.base import ChatModel
    from agentflow.agents.models.naming import model
    from agentflow.agents.models.prices import Price
    from agentflow.agents.models.providers import Provider, provider
    from agentflow.agents.prompts import PromptContext, PromptFile
    from agentflow.agents.tools.approving import ApprovalPolicy
    from agentflow.agents.tools.effects import ToolEffect
    from agentflow.agents.tools.injecting import Depends, ToolContext
    from agentflow.agents.tools.sources import ToolSource
    from agentflow.agents.tools.tasks import as_tool
    from agentflow.agents.tools.tool import Tool, tool
    from agentflow.errors import ArgumentsRefused, ToolError

__all__ = [
    "Agent",
    "AgentHooks",
    "ApprovalPolicy",
    "ArgumentsRefused",
    "ChatModel",
    "Depends",
    "Finish",
    "Image",
    "Message",
    "ModelSettings",
    "Price",
    "PromptContext",
    "PromptFile",
    "Provider",
    "Reply",
    "Request",
    "Role",
    "RunBudget",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolEffect",
    "ToolError",
    "ToolSource",
    "api_key",
    "as_tool",
    "basic",
    "bearer",
    "http_tool",
    "model",
    "openapi_tools",
    "provider",
    "tool",
]

_MODULES: dict[str, tuple[str, ...]] = {
    "agentflow.agents.agent": ("Agent",),
    "agentflow.agents.budget": ("RunBudget",),
    "agentflow.agents.hooks": ("AgentHooks",),
    "agentflow.agents.http": ("api_key", "basic", "bearer", "http_tool", "openapi_tools"),
    "agentflow.agents.messages": (
        "Finish",
        "Image",
        "Message",
        "ModelSettings",
        "Reply",
        "Request",
        "Role",
        "ToolCall",
    ),
    "agentflow.agents.models.base": ("ChatModel",),
    "agentflow.agents.models.naming": ("model",),
    "agentflow.agents.models.prices": ("Price",),
    "agentflow.agents.models.providers": ("Provider", "provider"),
    "agentflow.agents.prompts": ("PromptContext", "PromptFile"),
    "agentflow.agents.tools.approving": ("ApprovalPolicy",),
    "agentflow.agents.tools.effects": ("ToolEffect",),
    "agentflow.agents.tools.injecting": ("Depends", "ToolContext"),
    "agentflow.agents.tools.sources": ("ToolSource",),
    "agentflow.agents.tools.tasks": ("as_tool",),
    "agentflow.agents.tools.tool": ("Tool", "tool"),
    "agentflow.errors": ("ArgumentsRefused", "ToolError"),
}

if not typing.TYPE_CHECKING:
    __getattr__, __dir__ = _names(__name__, _MODULES)
