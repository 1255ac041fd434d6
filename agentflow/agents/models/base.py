"""What every language model is to an agent: something that answers a request, in one piece or as it comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from agentflow.agents.messages import Reply, Request

OnText = Callable[[str], None]
"""What is given each piece of text as it comes."""


@runtime_checkable
class ChatModel(Protocol):
    """A language model. A program of its own may give any object that has these two."""

    @property
    def name(self) -> str:
        """`provider:model`, as the journal, the pages and the costs name it."""
        ...

    async def reply(self, request: Request, *, on_text: OnText | None = None) -> Reply:
        """The model's answer. With `on_text` it is asked for piece by piece, each piece of text given as it comes.

        Nothing of an answer that was cut off is returned: no tool call of it is run. Raises a `ModelError`; whether
        the provider has worked, and charges for it, is then not known.
        """
        ...
