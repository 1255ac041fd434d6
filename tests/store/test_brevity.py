"""What is stored in few letters is read as it was written."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from agentflow.ids import APPROVAL, new_id
from agentflow.payloads import digest
from agentflow.states import EntryKind, Verdict
from agentflow.store import brevity
from tests.support.stores import a_gate, a_turn

if TYPE_CHECKING:
    from sqlite3 import Connection

    from agentflow.store.sqlite.store import SqliteStore

TEXTS = st.text(max_size=120)
ALLOWED = st.lists(st.sampled_from(Verdict), min_size=1, unique=True).map(",".join)


@given(TEXTS)
def test_a_digest_is_read_as_it_was(text: str) -> None:
    stored = brevity.short_digest(digest(text))
    assert len(stored) == 43
    assert brevity.long_digest(stored) == digest(text)
    assert brevity.long_digest(digest(text)) == digest(text), "as earlier releases stored it"


@given(TEXTS)
def test_what_a_gate_says_of_its_approval_is_read_as_it_was(text: str) -> None:
    said = json.dumps({"approval": "apr_1m838mqt59d42fw6hp", "digest": digest(text)})
    stored = brevity.short_asked(said)
    assert len(stored) < len(said) / 2 + 5
    assert brevity.long_asked(stored) == said
    assert brevity.long_asked(said) == said, "as earlier releases stored it"


@given(st.one_of(TEXTS, st.just(json.dumps({"approval": "apr_1", "digest": digest("1"), "exhausted": True}))))
def test_any_other_detail_is_left_as_it_is(said: str) -> None:
    assert brevity.long_asked(brevity.short_asked(said)) == said


@given(ALLOWED)
def test_the_verdicts_allowed_are_read_as_they_were(allow: str) -> None:
    assert brevity.long_allow(brevity.short_allow(allow)) == allow


@given(st.dictionaries(TEXTS, TEXTS).map(json.dumps))
def test_an_object_is_read_as_it_was(text: str) -> None:
    assert brevity.long_object(brevity.short_object(text)) == text


async def test_a_gate_is_stored_in_few_letters_and_read_in_full(store: SqliteStore, outside: Connection) -> None:
    lease = await a_turn(store)
    approval_id, bound = new_id(APPROVAL, store.now()), digest("what is asked")
    said = json.dumps({"approval": approval_id, "digest": bound})
    gate = replace(a_gate(store, id=approval_id, digest=bound), detail=said)
    await store.park(lease, [gate], [gate.key])

    found = await store.approval(approval_id)
    opened = next(one for one in await store.entries(lease.run_id) if one.kind is EntryKind.WAIT_OPENED)
    assert (found.digest, found.tags, found.evidence, found.field_confidence) == (bound, "{}", "{}", "{}")
    assert found.allowed == (Verdict.APPROVE, Verdict.CORRECT, Verdict.REJECT)
    assert opened.detail == said
    [kept] = outside.execute("SELECT allow || tags || evidence || field_confidence || digest FROM agentflow_approval")
    assert kept == (brevity.short_digest(bound),)
    [told] = outside.execute("SELECT detail FROM agentflow_journal WHERE kind = 'wait_opened'")
    assert told == (f"{approval_id} {brevity.short_digest(bound)}",)
    assert outside.execute("SELECT count(*) FROM agentflow_wait").fetchone() == (0,)
