"""Who serves language models, as values: where, by which wire, and which variables of the environment say the rest."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from agentflow.errors import DefinitionError, InvalidSetting
from agentflow.later import later

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow.agents.models import anthropic, chat_completions, responses
    from agentflow.agents.models.options import Options
    from agentflow.agents.models.wire import Wire
else:
    anthropic = later("agentflow.agents.models.anthropic")
    chat_completions = later("agentflow.agents.models.chat_completions")
    responses = later("agentflow.agents.models.responses")

WIRES: Final = ("chat_completions", "responses", "anthropic")
NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
KEY: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one call goes, and with what. Its `repr` shows no key."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Somebody who serves models. Values from the environment are read when a model is called, not when it is defined.

    A base URL without a path gets `adds`. `dialect` is how it differs from the wire as it was defined, by the wire's
    fields. With an API version, `versioned` is added in place of `adds`, the version follows as a parameter.
    """

    name: str
    base_url: str = ""
    key_variable: str = ""
    base_url_variable: str = ""
    wire: str | Wire = "chat_completions"
    needs_key: bool = True
    adds: str = ""
    dialect: Mapping[str, Any] = field(default_factory=dict)
    header_variables: Mapping[str, str] = field(default_factory=dict)
    version_variable: str = ""
    versioned: str = ""
    priced_as: str = ""

    def make_wire(self) -> Wire:
        """The wire it is spoken to by."""
        match self.wire:
            case "chat_completions":
                made: Wire = chat_completions.ChatCompletions(provider=self.name, **self.dialect)
            case "responses":
                made = responses.Responses(provider=self.name, **self.dialect)
            case "anthropic":
                made = anthropic.Anthropic(provider=self.name, **self.dialect)
            case _ if not isinstance(self.wire, str):
                made = self.wire
            case unknown:
                raise DefinitionError(f"provider {self.name!r} has wire={unknown!r}; wanted one of {', '.join(WIRES)}")
        return made

    def place(self, model: str, wire: Wire, options: Options) -> Place:
        """Where a call of this model goes. Raises `InvalidSetting` that says which variable is to be set."""
        key = self._key(model, options)
        own = {name: os.environ.get(variable, "") for name, variable in self.header_variables.items()}
        every = (
            *wire.headers(key).items(),
            *((name, one) for name, one in own.items() if one),
            *options.headers.items(),
        )
        headers = {name.lower(): value for name, value in every}  # names that differ in case only would be sent twice
        return Place(url=self._url(model, wire.path, options), headers=headers, key=key)

    def lacks_key(self, options: Options) -> bool:
        """Whether it needs a key and there is none."""
        return self.needs_key and not (options.key or os.environ.get(self.key_variable, "")).strip()

    def _key(self, model: str, options: Options) -> str:
        key = (options.key or os.environ.get(self.key_variable, "")).strip()
        if self.lacks_key(options):
            raise InvalidSetting(
                f"{self.name}:{model} needs a key, and there is none: set {self.key_variable} in the environment"
                if self.key_variable
                else f"{self.name}:{model} needs a key, and there is none: give model(…, key=…)"
            )
        if key and not KEY.fullmatch(key):
            source = "model(…, key=…)" if options.key else self.key_variable
            raise InvalidSetting(
                f"the key in {source} holds a space or a character that no key has; was it copied whole?"
            )
        return key

    def _url(self, model: str, path: str, options: Options) -> str:
        given = options.base_url or os.environ.get(self.base_url_variable, "").strip() or self.base_url
        source = "base_url=" if options.base_url else self.base_url_variable
        if not given:
            wanted = f"set {source} in the environment, or " if source else ""
            raise InvalidSetting(f"{self.name}:{model} has no base URL: {wanted}give model(…, base_url=…)")
        base = urlsplit(checked_url(given, source))
        version = options.api_version or os.environ.get(self.version_variable, "").strip()
        adds = self.adds
        if version and self.versioned:
            adds = self.versioned.format(model=quote(model, safe=""))
        whole = (base.path.rstrip("/") or adds) + path
        query = "&".join(filter(None, [base.query, f"api-version={quote(version)}" if version else ""]))
        return urlunsplit((base.scheme, base.netloc, whole, query, ""))


def checked_url(given: str, source: str) -> str:
    """The base URL, if it is one. Raises `InvalidSetting` that says where it comes from, and shows no password."""
    try:
        parsed = urlsplit(given)
        is_usable = parsed.scheme in {"http", "https"} and bool(parsed.hostname) and (parsed.port or 1) > 0
        has_password = "@" in parsed.netloc
    except ValueError:
        is_usable = has_password = False
    if has_password:
        raise InvalidSetting(f"the base URL in {source} holds a user or a password; give the key by key= or a variable")
    if not is_usable:
        raise InvalidSetting(f"{given!r} in {source} is no base URL; wanted one such as https://models.example.com/v1")
    return given


def provider(
    name: str,
    *,
    base_url: str,
    key_variable: str = "",
    wire: str | Wire = "chat_completions",
    base_url_variable: str = "",
    dialect: Mapping[str, Any] | None = None,
) -> Provider:
    """A provider of your own, for `model(name, provider=…)`. Without a `key_variable` it is called without a key.

    `wire` is `chat_completions`, `responses`, `anthropic`, or a `Wire` of your own; `dialect` sets the fields in which
    the provider differs, such as `{"output": "json_object"}`. Raises `DefinitionError`.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise DefinitionError(f"provider({name!r}): wanted a name of small letters, digits, - and _, such as 'lab'")
    made = Provider(
        name=name,
        base_url=base_url,
        key_variable=key_variable,
        base_url_variable=base_url_variable,
        wire=wire,
        needs_key=bool(key_variable),
        dialect=dialect or {},
    )
    try:
        checked_url(base_url, "base_url=")
        made.make_wire()
    except (InvalidSetting, TypeError) as error:
        raise DefinitionError(f"provider({name!r}): {error}") from None
    return made
