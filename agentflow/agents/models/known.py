"""The providers that are known by name."""

from __future__ import annotations

from typing import Any, Final

from agentflow.agents.models.providers import Provider

_OLDER: Final = {"max_tokens_field": "max_tokens"}
"""How most servers call the bound that OpenAI has renamed since."""


def _online(name: str, base_url: str, key_variable: str, **differences: Any) -> Provider:
    return Provider(
        name=name,
        base_url=base_url,
        key_variable=key_variable,
        base_url_variable=f"{name.upper()}_BASE_URL",
        dialect=_OLDER | differences,
    )


def _own(name: str, base_url: str) -> Provider:
    """A server of one's own, which asks for no key unless it was started with one."""
    return Provider(
        name=name,
        base_url=base_url,
        key_variable=f"{name.upper()}_API_KEY",
        base_url_variable=f"{name.upper()}_BASE_URL",
        needs_key=False,
        adds="/v1",
        dialect=_OLDER,
    )


def _openai(name: str, wire: str) -> Provider:
    return Provider(
        name=name,
        base_url="https://api.openai.com/v1",
        key_variable="OPENAI_API_KEY",
        base_url_variable="OPENAI_BASE_URL",
        header_variables={"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"},
        wire=wire,
        priced_as="openai",
    )


_KNOWN: Final = (
    _openai("openai", "chat_completions"),
    _openai("openai-responses", "responses"),
    Provider(
        name="azure",
        key_variable="AZURE_OPENAI_API_KEY",
        base_url_variable="AZURE_OPENAI_ENDPOINT",
        adds="/openai/v1",
        version_variable="OPENAI_API_VERSION",
        versioned="/openai/deployments/{model}",
        dialect={"key_header": "api-key"},
        priced_as="openai",
    ),
    Provider(
        name="azure-responses",
        key_variable="AZURE_OPENAI_API_KEY",
        base_url_variable="AZURE_OPENAI_ENDPOINT",
        adds="/openai/v1",
        wire="responses",
        priced_as="openai",
    ),
    Provider(
        name="anthropic",
        base_url="https://api.anthropic.com",
        key_variable="ANTHROPIC_API_KEY",
        base_url_variable="ANTHROPIC_BASE_URL",
        adds="/v1",
        wire="anthropic",
    ),
    _online("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    _online("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    _online(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        seed_field="random_seed",
        asks_for_usage=False,  # it is always told there
        has_short_ids=True,
    ),
    _online("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", output="json_object"),
    _online("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    _online("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    _online("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    _online("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    _online("perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", asks_for_usage=False, has_done=False),
    _online("google", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    _online("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN"),
    _online("nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    _online("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    _own("ollama", "http://localhost:11434"),
    _own("vllm", "http://localhost:8000"),
    _own("llamacpp", "http://localhost:8080"),
    _own("lmstudio", "http://localhost:1234"),
    _own("local", ""),
)

PROVIDERS: Final = {one.name: one for one in _KNOWN}
