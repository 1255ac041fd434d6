"""An agent's instructions: a text, a function of the run, or a Jinja2 file."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentflow.errors import DefinitionError, Fatal
from agentflow.later import later

if TYPE_CHECKING:
    from datetime import datetime

    import jinja2
    from jinja2 import sandbox
else:
    jinja2, sandbox = later("jinja2"), later("jinja2.sandbox")

LARGEST: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """What instructions may be made of: what the agent was given, the run, and the instant at which it began."""

    agent: str
    run_id: str
    now: datetime
    context: Any = None


class PromptFile:
    """Instructions in a Jinja2 file, rendered when the agent begins.

    The file sees `context` (what the agent was given), `agent`, `run_id`, `now`, and these `variables`. What is not
    defined is an error that names it, never an empty text. The file is read, and its syntax checked, here: raises
    `DefinitionError` for one that is not there or not right.
    """

    def __init__(self, path: str | Path, **variables: Any) -> None:
        self.path = Path(path)
        self.variables = variables
        try:
            self._text = self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DefinitionError(f"PromptFile({str(path)!r}) cannot be read: {error}") from error
        self.name = self.path.name
        try:
            self._template = _environment(self.path.parent).from_string(self._text)
        except jinja2.TemplateSyntaxError as error:
            raise DefinitionError(f"PromptFile({str(path)!r}), line {error.lineno}: {error.message}") from error

    def render(self, given: PromptContext) -> str:
        """The instructions. Raises `Fatal` for what the file names and nobody gave."""
        values = {"context": given.context, "agent": given.agent, "run_id": given.run_id, "now": given.now}
        try:
            return self._template.render({**values, **self.variables})
        except jinja2.TemplateError as error:
            raise Fatal(f"prompt file {self.name} cannot be rendered: {error}") from error

    def __repr__(self) -> str:
        return f"PromptFile({self.name!r})"


def _environment(folder: Path) -> sandbox.SandboxedEnvironment:
    return sandbox.SandboxedEnvironment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # a prompt is text for a model, and no page
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def checked_instructions(agent: str, given: Any) -> Any:
    """The instructions, if they are any. Raises `DefinitionError`."""
    if isinstance(given, str | PromptFile):
        return given
    if callable(given) and not isinstance(given, type):
        if inspect.isgeneratorfunction(given) or inspect.isasyncgenfunction(given):
            raise DefinitionError(
                f"agent {agent!r}: instructions= is a generator; wanted a function that returns a text"
            )
        return given
    raise DefinitionError(
        f"agent {agent!r}: instructions={given!r}: wanted a text, a PromptFile, or a function of a PromptContext"
    )


def source_of(given: Any) -> str:
    """Where instructions come from, for people."""
    if isinstance(given, PromptFile):
        return given.name
    return (
        "static" if isinstance(given, str) else f"function {getattr(given, '__qualname__', type(given).__qualname__)}"
    )


async def rendered(given: Any, context: PromptContext) -> str:
    """The instructions as the model is to have them. Raises what the function raises, or `Fatal`."""
    text = given.render(context) if isinstance(given, PromptFile) else given
    if callable(text):
        text = text(context)
        if inspect.isawaitable(text):
            text = await text
    if not isinstance(text, str):
        raise Fatal(f"the instructions of agent {context.agent} are {type(text).__qualname__}, no text")
    if len(text) > LARGEST:
        raise Fatal(f"the instructions of agent {context.agent} have {len(text):,} characters, of at most {LARGEST:,}")
    return text


def fingerprint(text: str) -> str:
    """What tells one rendering from another."""
    return f"sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"
