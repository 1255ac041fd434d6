"""What agents said in a run, read off its journal: a pure reading that never fails, whatever release wrote the journal.

`conversations` gives one `Conversation` for each agent call, made of lines: `Said`, `ModelCall`, `ToolUse`, `Gate` and
`Note`. `request_of` puts together what a model was asked.
"""

from __future__ import annotations

import typing

from agentflow.later import names

if typing.TYPE_CHECKING:
    from agentflow.conversation.asking import request_of
    from agentflow.conversation.reading import conversations
    from agentflow.conversation.records import (
        Answer,
        Conversation,
        Gate,
        Hop,
        Line,
        Miss,
        ModelCall,
        Note,
        Said,
        ToolTold,
        ToolUse,
        Wanted,
    )

__all__ = [
    "Answer",
    "Conversation",
    "Gate",
    "Hop",
    "Line",
    "Miss",
    "ModelCall",
    "Note",
    "Said",
    "ToolTold",
    "ToolUse",
    "Wanted",
    "conversations",
    "request_of",
]

if not typing.TYPE_CHECKING:
    __getattr__, __dir__ = names(
        __name__,
        {
            "agentflow.conversation.asking": ("request_of",),
            "agentflow.conversation.reading": ("conversations",),
            "agentflow.conversation.records": (
                "Answer",
                "Conversation",
                "Gate",
                "Hop",
                "Line",
                "Miss",
                "ModelCall",
                "Note",
                "Said",
                "ToolTold",
                "ToolUse",
                "Wanted",
            ),
        },
    )
