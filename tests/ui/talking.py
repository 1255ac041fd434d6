"""Agents for page tests: the journal entries that an agent leaves, made with the store's own verbs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agentflow.failures import Failure
from agentflow.requests import NewEntry
from agentflow.states import EntryKind
from agentflow.usage import Usage

if TYPE_CHECKING:
    from agentflow.store.base import Claimed
    from tests.ui.seeding import Seeds

PRIMARY, SECOND = "openai:gpt-5-mini", "anthropic:claude-sonnet-4-5"
USED: dict[str, Any] = {"input_tokens": 1204, "cached_tokens": 1024, "output_tokens": 88, "cost": Decimal("0.0004")}
TOOLS = [
    {"name": "look_up", "description": "Look an order up.", "effect": "read", "gated": False},
    {"name": "refund", "description": "Refund an order.", "effect": "irreversible", "gated": True},
]


def wish(name: str, id: str = "call_1", **arguments: Any) -> dict[str, str]:
    """A tool call as a reply has it."""
    return {"id": id, "name": name, "arguments": json.dumps(arguments)}


@dataclass
class Talks:
    """One agent call of a claimed run, written entry by entry."""

    seeds: Seeds
    claimed: Claimed
    path: str = ""
    turn: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        return self.claimed.run.id

    async def begins(self, agent: str = "refunds", prompt: str = "I want my money back.", **more: Any) -> Talks:
        told = {
            "agent": agent,
            "text": "You decide about refunds. Be kind, and exact.",
            "fingerprint": "sha256:1f0c",
            "source": "static",
            "prompt": [{"role": "user", "text": prompt}],
            "models": [PRIMARY, SECOND],
            "tools": TOOLS,
            "thread": None,
            "thread_seq": 0,
            "budget": None,
            "output": None,
        }
        await self.append(f"{self.path}instructions#1", "instructions", output=json.dumps(told | more))
        return self

    async def answers(self, text: str = "", *calls: dict[str, str], model: str = PRIMARY, **more: Any) -> None:
        """The answer of one turn."""
        self.turn += not more.pop("again", False)
        used = {"model": model} | USED | more.pop("used", {})
        message = {"role": "assistant", "text": text, "calls": list(calls), "refusal": more.pop("refusal", "")}
        written = {name: str(value) if isinstance(value, Decimal) else value for name, value in used.items()}
        reply = {
            "message": message,
            "finish": "tool_calls" if calls else "stop",
            "usage": written,
            "model": model,
            "response_id": "resp_77",
        }
        asked = {"turn": self.turn, "messages": 2 * self.turn, "fingerprint": "9a", "notices": more.pop("notices", [])}
        await self.append(
            f"{self.path}model#{self.turn}/{model}#1",
            "model",
            input=json.dumps([asked | more]),
            output=json.dumps({"reply": reply, "has_mail": False, "warnings": []}),
            took=812_000,
            usage=(Usage(**used),),
        )

    async def misses(self, error: Exception, *, model: str = PRIMARY, tries: int = 1, again: bool = False) -> None:
        """A hop whose every attempt fails."""
        self.turn += not again
        key, failure = f"{self.path}model#{self.turn}/{model}#1", Failure.of(error).to_json()
        for attempt in range(1, tries + 1):
            kind = EntryKind.FAILED if attempt == tries else EntryKind.ATTEMPT_FAILED
            await self.append(key, "model", kind=kind, error=failure, attempt=attempt, took=410_000)

    async def uses(self, tool: str, result: Any = None, *, id: str = "call_1", at: str = "", **more: Any) -> None:
        """A tool call that came to its end, or fails with `error`."""
        number = self.counts[tool] = self.counts.get(tool, 0) + 1
        given = json.dumps([{"call": id, "arguments": more.pop("arguments", {})}])
        error = more.pop("error", None)
        ended: dict[str, Any] = {"output": json.dumps(result)}
        if error is not None:
            ended = {"kind": EntryKind.FAILED, "error": Failure.of(error).to_json()}
        key = f"{self.path}{at}{tool}#{1 if at else number}"
        await self.append(key, more.pop("operation", "tool"), input=given, took=41_000, **(ended | more))

    async def asks(self, tool: str, arguments: Any, *, number: int = 1, **more: Any) -> Any:
        """A gate on a tool call; the run is parked at it."""
        key = f"{self.path}{tool}.approval#{number}"
        return await self.seeds.asks(arguments, claimed=self.claimed, key=key, title=f"{tool}?", **more)

    async def goes_on(self) -> None:
        """Claim the run again, whose gate was decided."""
        self.claimed = await self.seeds.claimed_again(self.run_id)

    async def reads(self, *texts: str, number: int = 1, by: str = "mia", ids: tuple[str, ...] = ()) -> None:
        """Steering messages."""
        output = json.dumps([{"text": text, "by": by} for text in texts])
        detail = json.dumps({"events": list(ids)})
        await self.append(f"{self.path}receive_events.agentflow.mail#{number}", "receive", output=output, detail=detail)

    async def append(self, key: str, operation: str, **entry: Any) -> None:
        values: dict[str, Any] = {"kind": EntryKind.SUCCEEDED, "took": 1_000}
        await self.seeds.store.append(self.claimed.lease, NewEntry(key=key, operation=operation, **(values | entry)))


async def a_talk(seeds: Seeds, task: str = "refunds", **more: Any) -> Talks:
    """An agent that has begun, as a run of its own."""
    return await Talks(seeds, await seeds.claimed(task)).begins(**more)
