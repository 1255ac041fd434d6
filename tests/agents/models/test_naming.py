"""Models by name, what they need of the environment, and what is said of names and settings that cannot be."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentflow.agents.models import ChatCompletions, ChatModel, model, provider
from agentflow.agents.models.known import PROVIDERS
from agentflow.agents.models.options import Options
from agentflow.errors import DefinitionError, InvalidSetting

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in PROVIDERS.values():
        for variable in (one.key_variable, one.base_url_variable, one.version_variable, *one.header_variables.values()):
            if variable:
                monkeypatch.delenv(variable, raising=False)


def url(name: str, **options: Any) -> str:
    provider_name, _, its_name = name.partition(":")
    found = PROVIDERS[provider_name]
    return found.place(its_name, found.make_wire(), Options.of(name, {"key": "k"} | options)).url


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gpt-5", "openai:gpt-5"),
        ("o3", "openai:o3"),
        ("claude-sonnet-4-5", "anthropic:claude-sonnet-4-5"),
        ("gemini-2.5-pro", "google:gemini-2.5-pro"),
        ("llama3:8b", "ollama:llama3:8b"),
        ("opnai:gpt-5", "openai:gpt-5"),
        ("OpenAI:gpt-5", "openai:gpt-5"),
        ("openai_responses:gpt-5", "openai-responses:gpt-5"),
        ("openai/gpt-5", "openai:gpt-5"),
        ("openrouter/anthropic/claude-sonnet-4.5", "openrouter:anthropic/claude-sonnet-4.5"),
    ],
)
def test_a_name_that_names_no_provider_is_refused_with_what_was_probably_meant(name: str, meant: str) -> None:
    with pytest.raises(DefinitionError, match=re.escape(f"did you mean {meant!r}?")):
        model(name)


@pytest.mark.parametrize("name", ["", "zzzz", "zzzz:zzzz", ":zzzz"])
def test_a_name_like_no_other_is_refused_with_the_providers_there_are(name: str) -> None:
    with pytest.raises(DefinitionError, match="providers: openai, openai-responses, azure"):
        model(name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timout": 1}, r"model\('openai:x', timout=…\): there is no such option; wanted one of base_url, key"),
        ({"timeout": "soon"}, "'soon' is no span of time"),
        ({"read_timeout": 0}, "read_timeout=0: wanted a span longer than nothing"),
        ({"max_size": 0}, "max_size=0: wanted a whole number of bytes"),
        ({"base_url": "localhost:8000"}, "'localhost:8000' in base_url= is no base URL"),
        ({"base_url": "https://me:secret@models.example"}, "holds a user or a password"),
        ({"headers": {"x": 1}}, "headers=…: wanted texts by name"),
        ({"key": 7}, "key=…: wanted a text"),
        ({"prices": {"openai:x": "1"}}, "wanted Price"),
    ],
)
def test_an_option_that_cannot_be_is_refused_when_the_model_is_defined(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said) as refused:
        model("openai:x", **options)
    assert "secret" not in str(refused.value)


def test_a_model_of_ones_own_is_taken_as_it_is_and_anything_else_is_refused() -> None:
    mine = model("ollama:qwen3")
    assert model(mine) is mine
    assert isinstance(mine, ChatModel)
    with pytest.raises(DefinitionError, match="options are for a model given by name"):
        model(mine, timeout=1)
    with pytest.raises(DefinitionError, match="wanted a name such as 'openai:gpt-5-mini', or an object"):
        model(3)  # type: ignore[arg-type]  what is to be refused


# -- what is needed of the environment


def test_defining_a_model_imports_no_client_of_http() -> None:
    code = "import sys; from agentflow.agents.models import model; model('openai:gpt-5'); print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"httpx", "email.utils", "difflib", "agentflow.store", "agentflow.runtime"} & set(
        ended.stdout.split()
    ) == set()


def test_defining_a_model_reads_no_environment_and_require_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defined = model("openai:gpt-5-mini")
    with pytest.raises(InvalidSetting, match="openai:gpt-5-mini needs a key, and there is none: set OPENAI_API_KEY"):
        defined.require()  # type: ignore[attr-defined]  a model over the network has it
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    defined.require()  # type: ignore[attr-defined]  same


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_says_what_it_needs_or_can_be_called(name: str) -> None:
    one = PROVIDERS[name]
    wire = one.make_wire()
    assert wire.path.startswith("/")
    if one.needs_key:
        with pytest.raises(InvalidSetting, match=f"set {one.key_variable} in the environment"):
            one.place("m", wire, Options())
    if not one.base_url:
        with pytest.raises(InvalidSetting, match=f"set {one.base_url_variable} in the environment"):
            one.place("m", wire, Options(key="k"))
    else:
        assert one.place("m", wire, Options(key="k")).url.startswith(one.base_url)


@pytest.mark.parametrize("key", ["sk-1\nsk-2", "two words", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_told_by_its_variable_and_not_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", key)
    with pytest.raises(InvalidSetting, match="the key in GROQ_API_KEY holds a space or a character") as refused:
        model("groq:llama").require()  # type: ignore[attr-defined]  same
    assert key not in str(refused.value)


def test_a_key_is_in_no_text_about_a_model() -> None:
    defined = model("openai:gpt-5", key="sk-secret", headers={"x-key": "also-secret"})
    shown = repr(defined) + repr(vars(defined)) + repr(defined._place())  # type: ignore[attr-defined]  what a log may hold
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("openai:gpt-5", {}, "https://api.openai.com/v1/chat/completions"),
        ("openai-responses:gpt-5", {}, "https://api.openai.com/v1/responses"),
        ("anthropic:claude", {}, "https://api.anthropic.com/v1/messages"),
        (
            "anthropic:claude",
            {"base_url": "https://gate.example/anthropic/"},
            "https://gate.example/anthropic/messages",
        ),
        ("ollama:llama3:8b", {}, "http://localhost:11434/v1/chat/completions"),
        ("vllm:x", {"base_url": "http://gpu:8000"}, "http://gpu:8000/v1/chat/completions"),
        ("local:x", {"base_url": "http://[::1]:9/api?tenant=a"}, "http://[::1]:9/api/chat/completions?tenant=a"),
        (
            "azure:my dep",
            {"base_url": "https://r.openai.azure.com", "api_version": "2024-10-21"},
            "https://r.openai.azure.com/openai/deployments/my%20dep/chat/completions?api-version=2024-10-21",
        ),
        (
            "azure:d",
            {"base_url": "https://r.openai.azure.com/"},
            "https://r.openai.azure.com/openai/v1/chat/completions",
        ),
    ],
)
def test_a_call_goes_where_the_provider_is(name: str, options: dict[str, Any], expected: str) -> None:
    assert url(name, **options) == expected


def test_the_environment_says_where_a_provider_is_and_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gate.example/openai")
    monkeypatch.setenv("OPENAI_API_KEY", " sk-1\n")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-7")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com")
    monkeypatch.setenv("OPENAI_API_VERSION", "2025-01-01")
    place = PROVIDERS["openai"].place("gpt-5", PROVIDERS["openai"].make_wire(), Options())
    assert place.url == "https://gate.example/openai/chat/completions"
    assert place.headers == {"authorization": "Bearer sk-1", "openai-organization": "org-7"}
    azure = PROVIDERS["azure"].place("d", PROVIDERS["azure"].make_wire(), Options(key="k"))
    assert azure.url.endswith("/openai/deployments/d/chat/completions?api-version=2025-01-01")
    assert azure.headers == {"api-key": "k"}


# -- providers of one's own


def test_a_provider_of_ones_own_is_spoken_to_by_the_wire_it_names() -> None:
    lab = provider("lab", base_url="https://lab.example/v1", key_variable="LAB_KEY", dialect={"output": "json_object"})
    assert model("lab:qwen", provider=lab).name == model("qwen", provider=lab).name == "lab:qwen"
    assert lab.make_wire() == ChatCompletions(provider="lab", output="json_object")
    with pytest.raises(InvalidSetting, match="set LAB_KEY in the environment"):
        model("qwen", provider=lab).require()  # type: ignore[attr-defined]  same
    assert provider("x", base_url="http://x", wire=(own := ChatCompletions())).make_wire() is own
    model("m", provider=provider("open", base_url="http://x/v1")).require()  # type: ignore[attr-defined]  no key


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("My Lab", {"base_url": "http://x"}, "wanted a name of small letters"),
        ("lab", {"base_url": "x"}, "'x' in base_url= is no base URL"),
        ("lab", {"base_url": "http://x", "wire": "soap"}, "wanted one of chat_completions, responses, anthropic"),
        ("lab", {"base_url": "http://x", "dialect": {"colour": 1}}, "unexpected keyword argument 'colour'"),
    ],
)
def test_a_provider_that_cannot_be_is_refused(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        provider(name, **options)
