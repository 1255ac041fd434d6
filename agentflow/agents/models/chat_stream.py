"""A streamed answer of Chat Completions, put together chunk by chunk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from agentflow.agents.models.chat_answers import (
    CARRIED,
    AnswerSoFar,
    CallSoFar,
    arguments_of,
    calls_in,
    failure,
    first_choice,
    joined,
    text_of,
)
from agentflow.errors import ModelAnswerCutOff

if TYPE_CHECKING:
    from agentflow.agents.messages import Reply

DONE: Final = "[DONE]"
HIGH: Final = ("\ud800", "\udbff")


class ChatAssembler:
    """Takes the chunks as they come. Until the end has come nothing but the text to show leaves it."""

    def __init__(self, *, name: str, provider: str, has_done: bool = True) -> None:
        self._so_far = AnswerSoFar(name=name, provider=provider)
        self._has_done = has_done
        self._is_done = False
        self._half = ""
        self._at_index: dict[int, CallSoFar] = {}

    @property
    def ended(self) -> bool:
        """Whether `[DONE]` has come."""
        return self._is_done

    def feed(self, event: str, data: str) -> str:
        """Take one chunk; the text in it. Raises `ModelAnswerCutOff`, or what an error in the stream says."""
        if data.strip() == DONE:
            self._is_done = True
            return ""
        said = self._read(data)
        if event == "error" or said.get("error"):
            raise failure(said, self._so_far.name)
        self._so_far.heard(said)
        choice = first_choice(said)
        if choice is None:
            return ""
        self._so_far.heard({"usage": choice.get("usage")})
        self._so_far.finish = text_of(choice.get("finish_reason")) or self._so_far.finish
        delta = choice.get("delta")
        return self._take(delta) if isinstance(delta, dict) else ""

    def reply(self) -> Reply:
        """The whole answer."""
        so_far = self._so_far
        if so_far.finish is None or (self._has_done and not self._is_done):
            raise ModelAnswerCutOff(
                f"{so_far.name}: the stream ended before the answer did; nothing of it was used", model=so_far.name
            )
        if any(not one.name for one in so_far.calls):
            raise ModelAnswerCutOff(
                f"{so_far.name} called a tool without naming it; nothing of the answer was used", model=so_far.name
            )
        return so_far.to_reply()

    def _read(self, data: str) -> dict[str, Any]:
        try:
            said = json.loads(data)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            name = self._so_far.name
            raise ModelAnswerCutOff(f"{name} sent a chunk that is no JSON object; nothing was used", model=name)
        return said

    def _take(self, delta: dict[str, Any]) -> str:
        text = text_of(delta.get("content"))
        self._so_far.text.append(text)
        self._so_far.refusal.append(text_of(delta.get("refusal")))
        for key in CARRIED:
            piece = delta.get(key)
            if isinstance(piece, str | list) and piece:
                self._keep(key, piece)
        for piece in calls_in(delta, self._so_far.name):
            self._take_call(piece)
        return self._whole_characters(text)

    def _keep(self, key: str, piece: Any) -> None:
        before = self._so_far.kept.get(key)
        self._so_far.kept[key] = before + piece if isinstance(before, type(piece)) else piece

    def _take_call(self, piece: dict[str, Any]) -> None:
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        name, its_id = text_of(function.get("name")), text_of(piece.get("id"))
        call = self._call_of(piece.get("index"), its_id, name)
        call.id = call.id or its_id
        call.name += name if name != call.name else ""
        call.arguments.append(arguments_of(function.get("arguments")))
        if piece.get("extra_content"):
            call.extra["extra_content"] = piece["extra_content"]

    def _call_of(self, index: Any, its_id: str, name: str) -> CallSoFar:
        """The call a piece belongs to. A new id together with a name is a new call, whatever its index is."""
        calls = self._so_far.calls
        if isinstance(index, int):
            call = self._at_index.get(index)
        elif its_id or name:
            call = next((one for one in calls if its_id and one.id == its_id), None)
        else:
            call = calls[-1] if calls else None
        if call is None or (its_id and call.id and its_id != call.id and name):
            call = CallSoFar()
            calls.append(call)
            if isinstance(index, int):
                self._at_index[index] = call
        return call

    def _whole_characters(self, text: str) -> str:
        """The text to show: half a character waits for its other half."""
        text = self._half + text
        cut = len(text) - 1 if text and HIGH[0] <= text[-1] <= HIGH[1] else len(text)
        self._half = text[cut:]
        return joined([text[:cut]])
