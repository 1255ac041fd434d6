"""The conversation on a run's page: what was said, called and decided, and nothing in it but text."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from agentflow.errors import ModelRateLimited, ToolError
from agentflow.requests import Completed, Decide, NewBudget
from agentflow.states import Verdict
from tests.support.spending import kept
from tests.ui.talking import PRIMARY, SECOND, Talks, a_talk, wish

if TYPE_CHECKING:
    from tests.support.server import Served
    from tests.ui.conftest import Browsing
    from tests.ui.seeding import Seeds

MOST_BYTES = 500_000


async def test_the_page_tells_who_said_what_and_what_each_call_used(mia: Browsing, seeds: Seeds) -> None:
    talk = await a_talk(seeds, thread="customer-7", thread_seq=2)
    await talk.answers("I look it up.", wish("look_up", order="A-17"))
    await talk.uses("look_up", {"total": 12}, arguments={"order": "A-17"})
    await talk.reads("In German, please.")
    await talk.answers("Fertig.", notices=["Come to an end soon."])
    page = await mia.open(f"/runs/{talk.run_id}")

    said = ["I want my money back.", "I look it up.", "look_up", '{"total": 12}', "In German, please.", "Fertig."]
    talked = page.text.partition("Conversation")[2].partition("Refund an order.")[2]
    places = [talked.index(text) for text in said]
    assert places == sorted(places)
    assert f"{PRIMARY} 1,204 in (1,024 cached) · 88 out · $0.0004 · 812 ms" in page.text
    assert "2 calls · 2,584 tokens · $0.0008" in page.text
    assert "thread customer-7 , goes on after part 2" in page.text
    assert "Come to an end soon." in page.text
    assert "may ask a person" in page.text


async def test_a_run_without_agents_has_no_conversation_on_its_page(mia: Browsing, seeds: Seeds) -> None:
    run = await seeds.finished()
    page = await mia.open(f"/runs/{run.id}")
    assert "Conversation" not in page.text
    assert "tokens.js" not in page.html


async def test_hops_say_who_failed_why_and_how_often(mia: Browsing, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    await talk.misses(ModelRateLimited("429: too many requests", model=PRIMARY, status=429), tries=3)
    await talk.answers("Here.", model=SECOND, again=True, used={"cost": None})
    page = await mia.open(f"/runs/{talk.run_id}")
    assert f"{PRIMARY} failed, 3 tries ModelRateLimited 429: too many requests 3 times" in page.text
    assert f"{SECOND} 1,204 in (1,024 cached) · 88 out · no price known" in page.text
    assert "1 unpriced" in page.text


async def test_a_gate_links_to_its_request_and_says_how_it_ended(site: Served, mia: Browsing, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    await talk.answers("", wish("refund", amount=900))
    asked = await talk.asks("refund", {"amount": 900})
    page = await mia.open(f"/runs/{talk.run_id}")
    assert f'<a href="/approvals/{asked.id}">Waiting for a decision</a>' in page.html
    assert "waits for a person" in page.text

    final = json.dumps({"amount": 850})
    decide = Decide(id="dec_1", approval_id=asked.id, verdict=Verdict.CORRECT, decided_by="tom", channel="web",
                    comment="Only the kettle.", final=final, expected_version=None)  # fmt: skip
    await site.store.decide(decide)
    await talk.goes_on()
    await talk.uses("refund", "paid", arguments={"amount": 850})
    page = await mia.open(f"/runs/{talk.run_id}")
    assert "Corrected refund? by tom" in page.text
    assert "Only the kettle." in page.text
    assert "What the model asked for" in page.text


async def test_a_failed_tool_and_an_agent_inside_are_told_in_their_rows(mia: Browsing, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    await talk.answers("", wish("look_up", "c1"), wish("policy", "c2"), wish("nope", "c3"))
    await talk.uses("look_up", id="c1", at="gather#1[0]/", error=ToolError("there is no such order"))
    inner = Talks(seeds, talk.claimed, path="gather#1[1]/policy#1/")
    await inner.begins(agent="policy", prompt="What are the rules?")
    await inner.answers("Within 30 days.")
    await talk.append("gather#1[1]/policy#1", "task", output='"Within 30 days."')
    await talk.answers("Well.")
    page = await mia.open(f"/runs/{talk.run_id}")
    assert "ToolError there is no such order" in page.text
    assert page.text.index("policy") < page.text.index("What are the rules?") < page.text.index("Well.")
    assert page.html.count('class="card talk-card"') == 1
    assert "not called" in page.text


async def test_budgets_show_what_is_left(site: Served, mia: Browsing, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    await kept(site.store, talk.claimed.lease, NewBudget(key="", tokens=10_000, cost=Decimal("0.001")))
    await talk.answers("One.")
    await talk.answers("Two.")
    page = await mia.open(f"/runs/{talk.run_id}")
    assert "7,416 left 2,584 of 10,000 spent" in page.text
    assert "$0.0002 left $0.0008 of $0.001 spent" in page.text
    assert re.search(r'<progress class="good" value="25"', page.html)
    assert re.search(r'<progress class="warn" value="80"', page.html)


async def test_the_agent_is_told_something_without_scripts(site: Served, mia: Browsing, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    page = await mia.open(f"/runs/{talk.run_id}")
    after = await page.submit(text="Take the second offer.\r\nAnd be quick.")
    assert (after.status, after.path) == (200, f"/runs/{talk.run_id}")
    assert "mia : Take the second offer. And be quick. not read yet" in after.text
    [sent] = await site.client.events(name="agentflow.mail")
    assert (sent.key, json.loads(sent.payload)) == (
        talk.run_id,
        {"text": "Take the second offer.\nAnd be quick.", "by": "mia"},
    )

    await talk.reads("Take the second offer.", ids=(sent.id,))
    assert "not read yet" not in (await mia.open(f"/runs/{talk.run_id}")).text


async def test_messages_that_cannot_be_sent_are_refused(site: Served, mia: Browsing, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    page = await mia.open(f"/runs/{talk.run_id}")
    assert (await page.submit(text="  ")).status == 422
    assert (await page.submit(text="x" * 20_001)).status == 422
    assert (await mia.post(f"/runs/{talk.run_id}/tell", [("text", "hello")])).status == 403
    await site.store.finish(talk.claimed.lease, Completed('"done"'))
    refused = await page.submit(text="Too late?")
    assert refused.status == 409
    assert "it cannot be told anything" in refused.text
    assert await site.client.events() == []
    assert "Tell the agent" not in (await mia.open(f"/runs/{talk.run_id}")).text


async def test_texts_of_models_and_tools_are_nothing_but_text(mia: Browsing, seeds: Seeds) -> None:
    evil = "<script>alert(1)</script> <img src=x> ![a](https://evil.test/p.png) https://evil.test \u202e \x1b[31m"
    talk = await a_talk(seeds, agent=f"boss{evil[:9]}", prompt=evil, text=evil, models=[evil], thread=evil)
    await talk.answers(evil, wish(evil, evil, **{evil: evil}), notices=[evil], refusal=evil)
    await talk.uses(evil[:8], evil, id=evil, error=ToolError(evil))
    await talk.reads(evil, by=evil)
    for path in (f"/runs/{talk.run_id}", f"/runs/{talk.run_id}/calls/model%231"):
        page = await mia.open(path)
        assert page.status == 200
        assert "<script>alert" not in page.html
        assert "<img src=x" not in page.html
        assert 'href="https://evil' not in page.html
        assert "\u202e" not in page.html
        assert "\x1b" not in page.html
        assert "RIGHT-TO-LEFT OVERRIDE" in page.html or "\\u202e" in page.html


async def test_a_call_has_a_page_with_what_was_asked_and_answered(mia: Browsing, seeds: Seeds) -> None:
    talk = await a_talk(seeds)
    await talk.misses(ModelRateLimited("429: too many requests", model=PRIMARY), tries=2)
    await talk.answers("I look.", wish("look_up", order="A"), model=SECOND, again=True)
    await talk.uses("look_up", "x" * 9_000, arguments={"order": "A"})
    model = await mia.open(f"/runs/{talk.run_id}/calls/model%231")
    assert "Attempt 2" in model.text
    assert "put together from the journal" in model.text
    assert '"text": "I want my money back."' in model.text
    used = await mia.open(f"/runs/{talk.run_id}/calls/look_up%231")
    assert "x" * 9_000 in used.html
    assert "x" * 9_000 not in (await mia.open(f"/runs/{talk.run_id}")).html
    assert (await mia.open(f"/runs/{talk.run_id}/calls/model%231/{PRIMARY}%231")).text == model.text
    missing = await mia.open(f"/runs/{talk.run_id}/calls/nothing%231")
    assert missing.status == 404
    assert (await mia.open("/runs/run_nowhere/calls/model%231")).status == 404


@pytest.mark.parametrize("words", ["I read on and on. ", "\u202e" * 8], ids=["plain", "hidden"])
async def test_a_long_conversation_comes_a_stretch_at_a_time(mia: Browsing, seeds: Seeds, words: str) -> None:
    talk = await a_talk(seeds)
    for turn in range(1, 61):
        await talk.answers(f"Step {turn}. {words * 60}", wish("look_up", order=f"A-{turn}"))
        await talk.uses("look_up", {"text": words * 100}, arguments={"order": f"A-{turn}"})
    page = await mia.open(f"/runs/{talk.run_id}")
    assert len(page.html.encode()) < MOST_BYTES
    assert "Step 60." in page.text
    assert "Step 1." not in page.text.partition("Timeline")[0]
    seen: set[int] = set()
    for _ in range(40):
        told = page.html.partition('aria-label="Parts of the run"')[0]
        seen |= {int(found) for found in re.findall(r"Step (\d+)\.", told)}
        link = re.search(r'<a href="([^"]+)">\d+ earlier model', told)
        if link is None:
            break
        page = await mia.open(link[1].replace("&amp;", "&"))
        assert len(page.html.encode()) < MOST_BYTES
    assert seen == set(range(1, 61))
    assert "later model" in page.text
