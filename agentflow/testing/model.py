"""A language model that answers from a script, and holds those who ask it to the questions it was written for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict

from agentflow.agents.messages import Finish, Message, Reply, Request, Role, ToolCall
from agentflow.errors import DefinitionError, Fatal
from agentflow.testing.scripted import place
from agentflow.usage import Usage

if TYPE_CHECKING:
    from typing import Unpack

    from agentflow.agents.models.base import OnText
    from agentflow.testing.scripted import Place

Arguments = Mapping[str, Any] | str
"""The arguments of a call; a text is what the model writes, which may be no JSON."""
USED: Final = (10, 5)
LONGEST: Final = 200
PIECE: Final = re.compile(r"\s*\S+\s*|\s+")


class Expected(TypedDict, total=False):
    """What may be said with every step: what the request has to be, and what the answer uses.

    `last` is in the text of the last message; `offers` names the tools that may be called, all of them; `that` says
    whether the request is as it should be. `usage` is a `Usage`, or the tokens in and out.
    """

    last: str
    offers: Iterable[str]
    that: Callable[[Request], Any]
    usage: Usage | tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One answer, or an error after as much of a text as had come; and what is expected of the request."""

    said: str
    reply: Reply | None = None
    error: BaseException | None = None
    text: str = ""
    expected: Expected = field(default_factory=Expected)


class ScriptedModel:
    """A `ChatModel` that gives its steps in order: `ScriptedModel().calls("refund", {"order": "A-17"}).says("Done.")`.

    Give it to an agent in place of a name; those of a chain have names of their own. It is strict: a call beyond the
    script, or one that is not what a step expects, is `Fatal` for the run, and `check` (or the end of its `with` block)
    raises `AssertionError` for it and for steps that were not asked for, with the conversation. It is asked only when
    a model would be: a replay takes nothing from the script, and a call that a crash cut off gets the same step again.
    """

    def __init__(self, name: str = "scripted:model", *, usage: Usage | tuple[int, int] = USED) -> None:
        provider, _, its_name = name.partition(":")
        if not provider or not its_name:
            raise DefinitionError(f"ScriptedModel({name!r}): wanted provider:model, such as 'scripted:primary'")
        self._name = name
        self._usage = usage
        self.steps: list[Step] = []
        self.requests: list[Request] = []
        self._count = 0
        self._given: dict[Place, int] = {}
        self._next = 0
        self._problems: list[str] = []

    @property
    def name(self) -> str:
        """`provider:model`."""
        return self._name

    # -- the script

    def says(self, text: str, *, finish: Finish = Finish.STOP, **expected: Unpack[Expected]) -> Self:
        """Answer with a text."""
        return self._answers(f"says({text!r})", Message(role=Role.ASSISTANT, text=text), finish, expected)

    def says_json(self, content: Any, **expected: Unpack[Expected]) -> Self:
        """Answer with the JSON of this."""
        return self.says(json.dumps(content, ensure_ascii=False), **expected)

    def calls(
        self,
        tool: str,
        arguments: Arguments = "{}",
        *more: tuple[str, Arguments],
        text: str = "",
        **expected: Unpack[Expected],
    ) -> Self:
        """Call a tool, or several at once: `calls("look", {"city": "Oslo"}, ("look", {"city": "Rome"}))`."""
        made = [self._call(name, given) for name, given in ((tool, arguments), *more)]
        said = ", ".join(f"{one.name}({one.arguments})" for one in made)
        message = Message(role=Role.ASSISTANT, text=text, calls=made)
        return self._answers(f"calls {said}", message, Finish.TOOL_CALLS, expected)

    def refuses(self, words: str, **expected: Unpack[Expected]) -> Self:
        """Decline to answer."""
        message = Message(role=Role.ASSISTANT, refusal=words)
        return self._answers(f"refuses({words!r})", message, Finish.REFUSAL, expected)

    def replies(self, message: Message, *, finish: Finish = Finish.STOP, **expected: Unpack[Expected]) -> Self:
        """Answer with this very message, such as no model should give."""
        return self._answers("replies", message, finish, expected)

    def fails(self, error: BaseException, *, after: str = "", times: int = 1, **expected: Unpack[Expected]) -> Self:
        """Raise this, as many times, each time `after` so much of a text has been shown."""
        said = f"fails({error!r})"
        self.steps += [Step(said=said, error=error, text=after, expected=expected) for _ in range(times)]
        return self

    def _answers(self, said: str, message: Message, finish: Finish, expected: Expected) -> Self:
        usage = _usage(expected.get("usage", self._usage), self._name)
        number = len(self.steps) + 1
        reply = Reply(
            message=message, finish=finish, usage=usage, model=self._name, response_id=f"{self._name}#{number}"
        )
        self.steps.append(Step(said=said, reply=reply, text=message.text, expected=expected))
        return self

    def _call(self, name: str, arguments: Arguments) -> ToolCall:
        self._count += 1
        written = arguments if isinstance(arguments, str) else json.dumps(dict(arguments), ensure_ascii=False)
        return ToolCall(id=f"{self._name.partition(':')[2]}_{self._count}", name=name, arguments=written)

    # -- being asked

    async def reply(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """The next step, its text in pieces. Raises its error, or `Fatal` if it is not as the script says."""
        step = await self._step(request)
        if on_text is not None:
            for piece in PIECE.findall(step.text):
                on_text(piece)
        if step.error is not None:
            raise step.error.with_traceback(None)  # the same one may be raised often, and would grow each time
        if step.reply is None:
            raise Fatal(f"{self._name}: the step {step.said} has neither an answer nor an error")
        return step.reply

    async def _step(self, request: Request) -> Step:
        where = await place()
        number = None if where is None else self._given.get(where)
        if number is None:
            number, self._next = self._next, self._next + 1
            self.requests.append(request)
            if where is not None:
                self._given[where] = number
        problem = self._problem(number, request)
        if problem:
            operation = f" in operation {where[1]} of run {where[0]}" if where else ""
            self._problems.append(f"{self._name} was asked{operation}, {problem}; the conversation:\n{_told(request)}")
            raise Fatal(self._problems[-1])
        return self.steps[number]

    def _problem(self, number: int, request: Request) -> str:
        if number >= len(self.steps):
            return f"and its script of {len(self.steps)} steps has ended"
        step = self.steps[number]
        wrong = _unexpected(step.expected, request)
        return f"and step {number + 1}, {step.said}, is for another request: {wrong}" if wrong else ""

    # -- being held to it

    @property
    def left(self) -> tuple[Step, ...]:
        """The steps that have not been asked for."""
        return tuple(self.steps[self._next :])

    def begin(self) -> None:
        """Start over from the first step."""
        self.requests.clear()
        self._given.clear()
        self._problems.clear()
        self._next = 0

    def check(self) -> None:
        """Raise `AssertionError` if it was asked too often, otherwise than it expects, or not often enough."""
        if self._problems:
            raise AssertionError(self._problems[0])
        if self.left:
            last = f"; the last conversation:\n{_told(self.requests[-1])}" if self.requests else ""
            raise AssertionError(
                f"{self._name} was asked {self._next} times; {len(self.left)} of its {len(self.steps)} steps were not "
                f"asked for, the next of them {self.left[0].said}{last}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.check()

    def __repr__(self) -> str:
        return f"<scripted model {self._name}>"


def _usage(given: Usage | tuple[int, int], name: str) -> Usage:
    if isinstance(given, Usage):
        return replace(given, model=name)
    taken, made = given
    return Usage(model=name, input_tokens=taken, output_tokens=made)


def _unexpected(expected: Expected, request: Request) -> str:
    """What is otherwise than a step expects; "" if nothing is."""
    last = request.messages[-1].text if request.messages else ""
    if expected.get("last", "") not in last:
        return f"{expected['last']!r} is not in its last message"
    offered = sorted(tool.name for tool in request.tools)
    if "offers" in expected and sorted(expected["offers"]) != offered:
        return f"it offers the tools {', '.join(offered) or 'none'}, and not {', '.join(sorted(expected['offers']))}"
    if "that" in expected and not expected["that"](request):
        return "`that` says it is not as it should be"
    return ""


def _told(request: Request) -> str:
    """The conversation, a line for each message and call."""
    lines: list[str] = []
    for message in request.messages:
        who = f"{message.role} {message.call_id}".strip() + (" (error)" if message.is_error else "")
        if message.text or message.refusal or not message.calls:
            lines.append(f"  {who}: {_short(message.text or message.refusal)}")
        lines += [f"  {who} calls {one.name}({_short(one.arguments)}) as {one.id}" for one in message.calls]
    return "\n".join(lines) or "  (nothing)"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
