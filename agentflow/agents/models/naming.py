"""Models by name: `openai:gpt-5-mini`. What names no model is an error that says what was probably meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.models.base import ChatModel
from agentflow.agents.models.known import PROVIDERS
from agentflow.agents.models.options import ModelOptions, Options
from agentflow.agents.models.prices import TABLE
from agentflow.agents.models.remote import RemoteModel
from agentflow.errors import DefinitionError
from agentflow.later import later

if TYPE_CHECKING:
    import difflib
    from typing import Unpack

    from agentflow.agents.models.providers import Provider
else:
    difflib = later("difflib")

FAMILIES: Final = {
    "gpt": "openai",
    "chatgpt": "openai",
    "o1": "openai",
    "o3": "openai",
    "o4": "openai",
    "claude": "anthropic",
    "gemini": "google",
    "mistral": "mistral",
    "ministral": "mistral",
    "codestral": "mistral",
    "magistral": "mistral",
    "deepseek": "deepseek",
    "grok": "xai",
    "kimi": "moonshot",
    "sonar": "perplexity",
    "llama": "ollama",
    "qwen": "ollama",
    "gemma": "ollama",
    "phi": "ollama",
}
"""How the names of well-known models begin, and who serves them."""
NEAR: Final = 0.85
"""How much alike a provider's name and a mistyped one are; `llama3` in `llama3:8b` is less like `ollama`."""


def model(name: str | ChatModel, *, provider: Provider | None = None, **options: Unpack[ModelOptions]) -> ChatModel:
    """The model `provider:model`, to be called; nothing is asked of it or read from the environment yet.

    `provider` is one of your own. What is a model already comes back as it is. Raises `DefinitionError` for a name that
    names no provider or none that is known, and for options that cannot be.
    """
    if not isinstance(name, str):
        return _given(name, options)
    whole = name.strip()
    if provider is not None:
        return _made(whole, provider, whole.removeprefix(f"{provider.name}:"), options)
    given, colon, its_name = whole.partition(":")
    if not colon or given not in PROVIDERS:
        raise DefinitionError(_advice(whole))
    return _made(whole, PROVIDERS[given], its_name, options)


def _given(found: Any, options: Any) -> ChatModel:
    if not isinstance(found, ChatModel):
        raise DefinitionError(
            f"model({found!r}): wanted a name such as 'openai:gpt-5-mini', or an object that has `name` and `reply`"
        )
    if options:
        raise DefinitionError(f"model({found.name!r}, {next(iter(options))}=…): options are for a model given by name")
    return found


def _made(name: str, provider: Provider, its_name: str, options: Any) -> RemoteModel:
    if not its_name.strip():
        raise DefinitionError(f"model({name!r}) names no model; wanted {provider.name}:model")
    return RemoteModel(provider, its_name.strip(), Options.of(name, options))


def _advice(name: str) -> str:
    """What is wrong with the name, and what was probably meant."""
    given, colon, _ = name.partition(":")
    meant = _meant(name)
    hint = f"did you mean {meant!r}?" if meant else f"providers: {', '.join(PROVIDERS)}"
    own = "; one of your own is given as model(…, provider=provider(…))"
    if colon:
        return f"model({name!r}): no provider {given!r} is known; {hint}{own}"
    return f"model({name!r}) names no provider; wanted provider:model: {hint}{own}"


def _meant(name: str) -> str:
    given, colon, its_name = name.partition(":")
    if colon:
        near = difflib.get_close_matches(given.lower().replace("_", "-"), PROVIDERS, n=1, cutoff=NEAR)
        if near:
            return f"{near[0]}:{its_name}"
    slashed, _, rest = name.partition("/")
    if rest and slashed.lower() in PROVIDERS:
        return f"{slashed.lower()}:{rest}"
    family = next((one for one in sorted(FAMILIES, key=len, reverse=True) if name.lower().startswith(one)), "")
    if family:
        return f"{FAMILIES[family]}:{name}"
    known = {one.partition(":")[2]: one for one in TABLE}
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return known[near[0]] if near else ""
