"""Conversations read off a journal: what belongs together is found, and nothing that a journal holds makes it fail."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow.conversation import Conversation, Gate, ModelCall, Note, Said, ToolUse, conversations
from agentflow.errors import ModelRateLimited, ToolError
from agentflow.failures import Failure
from agentflow.records import Entry
from agentflow.states import EntryKind

BEGAN = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
A, B = "openai:gpt-5-mini", "anthropic:claude-sonnet-4-5"


class Journal:
    """Entries of one run, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, key: str | None, operation: str | None = None, **more: Any) -> Journal:
        seq = len(self.entries) + 1
        error = more.pop("error", None)
        values: dict[str, Any] = {"kind": EntryKind.SUCCEEDED, "attempt": 1, "took": timedelta(milliseconds=5)}
        values |= dict.fromkeys(("input", "output", "detail")) | more
        texts = {name: _text(values[name]) for name in ("input", "output", "detail")}
        failed = None if error is None else Failure.of(error).to_json()
        about = {"id": seq, "run_id": "run_1", "seq": seq, "epoch": 1, "at": BEGAN + timedelta(seconds=seq)}
        self.entries.append(
            Entry(
                **about,
                key=key,
                operation=operation,
                kind=values["kind"],
                attempt=values["attempt"],
                took=values["took"],
                error=failed,
                **texts,
            )
        )
        return self

    def begins(self, path: str = "", agent: str = "refunds", **more: Any) -> Journal:
        told = {"agent": agent, "text": "Be kind.", "prompt": [{"role": "user", "text": "Money back!"}], "models": [A]}
        return self.add(f"{path}instructions#1", "instructions", output=told | more)

    def answers(self, turn: int, text: str = "", *calls: dict[str, str], path: str = "", model: str = A) -> Journal:
        usage = {"model": model, "input_tokens": 10, "output_tokens": 5, "cost": {"$decimal": "0.25"}}
        message = {"role": "assistant", "text": text, "calls": {"$tuple": list(calls)}}
        reply = {"message": message, "finish": "stop", "usage": usage, "model": model}
        asked = [{"turn": turn, "messages": 2, "fingerprint": "f", "notices": []}]
        return self.add(f"{path}model#{turn}/{model}#1", "model", input=asked, output={"reply": reply})

    def fails(self, key: str, error: Exception, *, last: bool = True, attempt: int = 1) -> Journal:
        kind = EntryKind.FAILED if last else EntryKind.ATTEMPT_FAILED
        return self.add(key, "model", kind=kind, error=error, attempt=attempt)

    def uses(self, key: str, call: str, result: Any = "ok", **arguments: Any) -> Journal:
        return self.add(key, "tool", input=[{"call": call, "arguments": arguments}], output=result)

    def asks(self, key: str) -> Journal:
        return self.add(key, "approval", kind=EntryKind.WAIT_OPENED, detail={"approval": "apr_1", "digest": "d"})

    def decided(self, key: str, outcome: str, final: Any = None, comment: str = "") -> Journal:
        told = {"outcome": outcome, "approval": "apr_1", "decided_by": "mia", "comment": comment}
        return self.add(key, "approval", kind=EntryKind.WAIT_RESOLVED, detail=told, output=final)

    def read(self) -> tuple[Conversation, ...]:
        return conversations(self.entries)

    def only(self) -> Conversation:
        [talk] = self.read()
        return talk


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def wish(name: str, id: str, **arguments: Any) -> dict[str, str]:
    return {"id": id, "name": name, "arguments": json.dumps(arguments)}


def uses(talk: Conversation) -> list[tuple[str, str, str | None]]:
    return [(use.tool, use.state, use.key) for use in talk.uses]


def test_a_run_without_agents_has_no_conversation() -> None:
    assert Journal().add(None, None, kind=EntryKind.TRIGGERED).add("fetch#1", "step", output=1).read() == ()


def test_a_conversation_tells_who_said_what_and_what_it_used() -> None:
    journal = Journal().begins(tools=[{"name": "look", "effect": "read", "gated": True}], thread="t-1", thread_seq=3)
    journal.answers(1, "I look.", wish("look", "c1", order="A-17")).uses("look#1", "c1", "12 EUR", order="A-17")
    talk = journal.answers(2, "Done.").add(None, kind=EntryKind.RUN_COMPLETED, output="Done.").only()

    assert [type(line) for line in talk.lines] == [Said, ModelCall, ToolUse, ModelCall]
    assert (talk.agent, talk.thread, talk.thread_seq, talk.tools[0].gated) == ("refunds", "t-1", 3, True)
    first = next(talk.calls)
    assert first.answer is not None
    assert first.answer.usage is not None
    assert (first.answer.text, str(first.answer.usage.cost), first.turn) == ("I look.", "0.25", 1)
    assert uses(talk) == [("look", "done", "look#1")]
    assert json.loads(next(talk.uses).given or "") == {"order": "A-17"}
    assert (talk.state, talk.output) == ("done", '"Done."')


def test_parallel_calls_of_one_tool_and_one_id_are_told_apart_by_their_branch() -> None:
    journal = Journal().begins()
    journal.answers(1, "", wish("look", "c", n=1), wish("look", "c", n=2), wish("nope", "c"))
    journal.uses("gather#1[1]/look#1", "c_2", "second", n=2).uses("gather#1[0]/look#1", "c", "first", n=1)
    talk = journal.answers(2, "So.").only()

    assert [(use.result, use.state) for use in talk.uses] == [
        ('"first"', "done"),
        ('"second"', "done"),
        (None, "skipped"),
    ]


def test_calls_made_one_after_the_other_are_found_by_their_turn() -> None:
    journal = Journal().begins()
    journal.answers(1, "", wish("look", "same", n=1)).uses("look#1", "same", "one", n=1)
    talk = journal.answers(2, "", wish("look", "same", n=2)).uses("look#2", "same", "two", n=2).only()

    assert uses(talk) == [("look", "done", "look#1"), ("look", "done", "look#2")]
    assert [use.result for use in talk.uses] == ['"one"', '"two"']


def test_a_gate_belongs_to_its_call_and_says_who_decided_what() -> None:
    journal = Journal().begins().answers(1, "", wish("pay", "c1", amount=9), wish("pay", "c2", amount=5))
    journal.asks("gather#1[0]/pay.approval#1").asks("gather#1[1]/pay.approval#1")
    assert [use.state for use in journal.only().uses] == ["waiting", "waiting"]

    journal.decided("gather#1[1]/pay.approval#1", "rejected", comment="too much")
    journal.decided("gather#1[0]/pay.approval#1", "corrected", {"amount": 8})
    journal.uses("gather#1[0]/pay#1", "c1", "paid", amount=8)
    paid, denied = journal.only().uses

    assert (paid.state, json.loads(paid.given or ""), json.loads(paid.arguments)) == (
        "done",
        {"amount": 8},
        {"amount": 9},
    )
    assert paid.gate is not None
    assert (paid.gate.state, paid.gate.by) == ("corrected", "mia")
    assert denied.gate is not None
    assert (denied.state, denied.gate.comment, denied.key) == ("denied", "too much", None)


def test_a_gate_of_no_call_stands_by_itself() -> None:
    talk = (
        Journal()
        .begins()
        .asks("budget.approval#1")
        .decided("budget.approval#1", "approved", {"choice": "grant"})
        .only()
    )
    [gate] = [line for line in talk.lines if isinstance(line, Gate)]
    assert (gate.key, gate.state) == ("budget.approval#1", "approved")


def test_hops_tell_which_model_failed_why_and_how_often() -> None:
    limited = ModelRateLimited("429, come back later", model=A, status=429)
    journal = Journal().begins()
    for attempt in (1, 2):
        journal.fails(f"model#1/{A}#1", limited, last=False, attempt=attempt)
    assert [(hop.state, len(hop.misses)) for hop in next(journal.only().calls).hops] == [("retrying", 2)]

    journal.fails(f"model#1/{A}#1", limited, attempt=3).answers(1, "Here.", model=B)
    call = next(journal.only().calls)

    assert [(hop.model, hop.state) for hop in call.hops] == [(A, "failed"), (B, "answered")]
    assert call.hops[0].reasons == {("ModelRateLimited", "429, come back later"): 3}
    assert call.answer is not None
    assert call.answer.text == "Here."


def test_an_answer_that_is_not_accepted_leads_to_no_calls() -> None:
    journal = Journal().begins().answers(1, "", wish("pay", "c1"), model=A)
    talk = journal.answers(1, "", wish("look", "c2"), model=B).only()

    assert [hop.state for hop in next(talk.calls).hops] == ["refused", "answered"]
    assert [(use.tool, use.state) for use in talk.uses] == [("pay", "skipped"), ("look", "wanted")]


def test_the_conversation_of_an_agent_called_as_a_tool_stands_in_its_call() -> None:
    journal = Journal().begins(agent="boss").answers(1, "", wish("research", "c1"), wish("research", "c2"))
    for place in (1, 0):
        path = f"gather#1[{place}]/app.research#1/"
        journal.begins(path, agent="app.research").answers(1, f"Found {place}.", path=path)
        journal.add(path[:-1], "task", output=f"Found {place}.")
    boss, *found = journal.read()

    assert [use.inside for use in boss.uses] == ["gather#1[0]/app.research#1/", "gather#1[1]/app.research#1/"]
    assert [use.result for use in boss.uses] == ['"Found 0."', '"Found 1."']
    assert [(one.within, one.state, one.output) for one in found] == [
        ("", "done", '"Found 1."'),
        ("", "done", '"Found 0."'),
    ]


def test_an_agent_in_a_task_has_its_own_path_and_its_own_end() -> None:
    journal = Journal().add("fetch#1", "step").begins("refunds#1/").answers(1, "Hm.", path="refunds#1/")
    journal.add("refunds#1", "task", kind=EntryKind.FAILED, error=ValueError("no"))
    talk = journal.add(None, kind=EntryKind.RUN_COMPLETED, output=1).only()
    assert (talk.path, talk.within, talk.state) == ("refunds#1/", None, "failed")
    assert talk.failure is not None
    assert talk.failure.message == "no"


def test_messages_notices_compactions_and_threads_have_their_lines() -> None:
    journal = Journal().begins()
    mail = [{"text": "In German.", "by": "mia"}, "plain"]
    journal.add("receive_events.agentflow.mail#1", "receive", output=mail, detail={"events": ["evt_1"]})
    journal.add("compaction#1", "step", output=[{"role": "user", "text": "short"}]).add("thread#1", "thread", output=4)
    talk = journal.add("instructions#2", "instructions", output={"text": "Be exact."}).only()

    told = [(line.by, line.text, line.event_id) for line in talk.lines if isinstance(line, Said)][1:]
    assert told == [("mia", "In German.", "evt_1"), ("", "plain", "")]
    assert [line.what for line in talk.lines if isinstance(line, Note)] == ["compaction", "thread", "instructions"]
    assert talk.instructions == "Be exact."


def test_a_tool_that_failed_and_one_that_is_tried_again_say_so() -> None:
    journal = Journal().begins().answers(1, "", wish("look", "c1"))
    journal.add("look#1", "tool", kind=EntryKind.ATTEMPT_FAILED, error=OSError("cut"))
    assert [use.state for use in journal.only().uses] == ["retrying"]
    journal.add("look#1", "tool", kind=EntryKind.FAILED, error=ToolError("no such order"), attempt=2)
    [use] = journal.only().uses
    assert use.failure is not None
    assert (use.state, use.failure.message, len(use.misses)) == ("failed", "no such order", 2)


def test_what_was_cut_or_is_a_stand_in_or_of_another_release_is_shown_as_far_as_it_goes() -> None:
    journal = Journal().begins(models="none", tools={"a": 1}, prompt=7)
    journal.add("model#1/m#1", "model", input=[{"$more": "Asked"}], output={"$large": {"bytes": 5}})
    journal.add("model#2/m#1", "model", input=["x"], output={"reply": {"message": 3, "usage": {"cost": "much"}}})
    long = {"$cut": "Be", "length": 99_000}
    journal.add("model#3/m#1", "model", input=[{"notices": [long]}])
    journal.add("write#1", "tool", input=[{"arguments": {"text": long}}])
    talk = journal.add("look#1", "tool", input="nothing", output=None).only()
    assert [call.turn for call in talk.calls] == [1, 2, 3]
    assert list(talk.calls)[2].notices == ("Be… (cut; 99000 characters)",)
    assert json.loads(next(talk.uses).given or "") == {"text": long}
    assert uses(talk) == [("write", "done", "write#1"), ("look", "done", "look#1")]


MEMBERS = "reply message calls usage cost args call arguments $cut $object $tuple events approval outcome prompt text"

SCRAPS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["$tuple", "$object", "look", "c1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS.split()), inner, max_size=4),
    max_leaves=12,
)
PARTS = [
    "instructions#1",
    "model#1",
    "model#2/m#1",
    "gather#1[0]",
    "gather#9[99]",
    "look#1",
    "look.approval#1",
    "thread#1",
]
PARTS += ["compaction#1", "receive_events.agentflow.mail#1", "a#1", "#", "", "budget.approval#1"]
KINDS = ["instructions", "model", "tool", "task", "approval", "receive", "fallback", "thread", "step", None]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join),
            st.sampled_from(KINDS),
            st.sampled_from(EntryKind),
            st.tuples(SCRAPS, SCRAPS, SCRAPS),
        ),
        max_size=12,
    )
)
def test_no_journal_makes_the_reading_fail(rows: list[Any]) -> None:
    journal = Journal().begins()
    journal.answers(1, "", wish("look", "c1"))
    for key, operation, kind, (given_in, output, detail) in rows:
        journal.add(key, operation, kind=kind, input=given_in, output=output, detail=detail)
    for talk in journal.read():
        assert all(line.seq <= len(journal.entries) for line in talk.lines)


def test_texts_that_are_no_json_at_all_are_read_too() -> None:
    journal = Journal().begins().answers(1, "", wish("look", "c1"))
    made = [replace(one, output="{", input="\x00", error="?", detail="[") for one in journal.entries]
    assert len(conversations(made)) == 1
