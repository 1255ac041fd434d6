"""What the pages show."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from agentflow.states import EntryKind, Verdict
from tests.ui.stories import an_ordinary_day, logged, the_invoice

if TYPE_CHECKING:
    from tests.support.server import Served
    from tests.ui.conftest import Browsing, MovedClock
    from tests.ui.seeding import Seeds


def rows(html: str) -> list[str]:
    return re.findall(r'data-row="([^"]+)"', html)


async def test_the_first_page_explains_how_to_ask(mia: Browsing) -> None:
    page = await mia.open("/")
    assert page.path == "/inbox"
    assert "Nothing has asked for a decision yet" in page.text
    assert "wait_for_approval(draft" in page.text


async def test_an_inbox_that_was_cleared_says_so(site: Served, seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    await site.client.decide(asked.id, Verdict.APPROVE, by="mia")
    assert "All clear" in (await mia.open("/inbox")).text
    decided = await mia.open("/inbox?tab=decided")
    assert rows(decided.html) == [asked.id]
    assert "by mia" in decided.text


async def test_requests_stand_in_groups_by_urgency(seeds: Seeds, mia: Browsing, clock: MovedClock) -> None:
    overdue = await seeds.asks({"n": 1}, title="Late", timeout=timedelta(minutes=1))
    clock.advance(minutes=2)
    today = await seeds.asks({"n": 2}, title="Today", timeout=timedelta(hours=5), risk="high", confidence=0.4)
    later = await seeds.asks({"n": 3}, title="Later on")
    page = await mia.open("/inbox")
    assert rows(page.html) == [overdue.id, today.id, later.id]
    assert re.findall(r'<h2 class="group">([\w ]+) <', page.html) == ["Overdue", "Due within a day", "Later"]
    for shown in ("overdue since 1 min ago", "due in 4 h 59 min", "no deadline", "40 % sure", "High risk", "Pending"):
        assert shown in page.text, shown


async def test_a_search_finds_or_offers_to_be_cleared(seeds: Seeds, mia: Browsing) -> None:
    await an_ordinary_day(seeds)
    assert len(rows((await mia.open("/inbox?q=Refund")).html)) == 1
    nothing = await mia.open("/inbox?q=%3Cb%3Ezebra")
    assert "No requests match “<b>zebra”" in nothing.text
    assert "Clear the search" in nothing.text


async def test_ten_thousand_requests_are_a_page_of_fifty_and_the_next(site: Served, mia: Browsing) -> None:
    from tests.ui.crowds import many_requests

    await many_requests(site.store, 10_000)
    first = await mia.open("/inbox")
    assert len(rows(first.html)) == 50
    assert "10000" in first.text
    following = re.search(r'rel="next" href="([^"]+)"', first.html)
    assert following
    second = await mia.open(following.group(1).replace("&amp;", "&"))
    assert len(set(rows(first.html) + rows(second.html))) == 100


async def test_a_decision_page_shows_what_it_is_about(seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    for shown in (
        "Invoice INV-4711 from Müller & Söhne",
        "41 % sure",
        "invoice-4711.pdf",
        "Total 1,200.50",
        "Written by the task not verified",
        "Why it asks: low_confidence",
        "purchase order (https://example.test/po/881)",
        "Medium risk",
        "due in 2 h 59 min",
        "it is rejected in 2 h 59 min",
        "primary.extract#1",
        "If you approve, the run goes on with the data shown (sha256",
        "mueller",
    ):
        assert shown in page.text, shown
    first, second = page.html.index("41 % sure"), page.html.index("78 % sure")
    assert first < second, "what the task is least sure of comes first"
    assert "<strong>skewed</strong>" in page.html


async def test_neighbours_are_a_link_away(seeds: Seeds, mia: Browsing) -> None:
    one, two, three = [await seeds.asks({"n": n}, title=f"Request {n}") for n in range(3)]
    page = await mia.open(f"/approvals/{two.id}")
    assert re.search(rf'rel="prev" href="/approvals/{one.id}"', page.html)
    assert re.search(rf'rel="next" href="/approvals/{three.id}"', page.html)


async def test_hidden_characters_are_spelled_out_everywhere(seeds: Seeds, mia: Browsing) -> None:
    trick = "pay \u202e0001\u202c to p\u0430ypal"
    asked = await seeds.asks({"to": trick}, title=trick, summary=trick, body=trick, reason=trick)
    page = await mia.open(f"/approvals/{asked.id}")
    for path in ("/inbox", f"/runs/{asked.run_id}", f"/approvals/{asked.id}?fragment=preview"):
        assert "\u202e" not in (await mia.open(path)).html
    assert "\u202e" not in page.html
    assert "\\u202e0001" in page.text, "the input shows the escape, and gives the character back"
    assert page.text.count("U+202E RIGHT-TO-LEFT OVERRIDE") >= 5
    assert "mixed scripts" in page.text


async def test_hidden_characters_that_were_typed_are_pointed_out(seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/approvals/{asked.id}")
    typed = await page.submit(("action", "view:edit"), supplier="Mül\u200bler")
    assert "Holds characters you cannot see: Mül ⟨U+200B ZERO WIDTH SPACE⟩ ler" in typed.text


async def test_a_run_page_tells_the_story_of_the_run(seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    page = await mia.open(f"/runs/{asked.run_id}")
    for shown in (
        "Waiting",
        "invoices/4711.pdf",
        "2 attempts",
        "ValueError",
        "invalid literal for int()",
        "Waits for a person",
        asked.title,
        "turn 1",
        "1.8 s",
        "Cancel…",
    ):
        assert shown in page.text, shown
    assert "Resume…" not in page.text
    assert page.html.index("primary.extract#1") < page.html.index("ocr_then_llm#1")


async def test_a_diverged_run_shows_both_sides_and_the_choices(seeds: Seeds, mia: Browsing) -> None:
    run = await seeds.diverged("ocr#1 (step)", "extract_text#1 (step)")
    page = await mia.open(f"/runs/{run.id}")
    assert re.search(r"Recorded\s+ocr#1 \(step\)\s+The code asks for\s+extract_text#1 \(step\)", page.text)
    assert "Resume…" in page.text
    assert "Cancel…" in page.text


async def test_a_failed_run_says_why(seeds: Seeds, mia: Browsing) -> None:
    run = await seeds.failed(ConnectionError("refused by 10.0.3.7"))
    page = await mia.open(f"/runs/{run.id}")
    assert "Why it failed" in page.text
    assert "ConnectionError : refused by 10.0.3.7" in page.text


async def test_a_log_is_shown_with_its_levels_and_operations(seeds: Seeds, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    await logged(seeds, asked.run_id)
    page = await mia.open(f"/runs/{asked.run_id}?tab=logs")
    assert "page 2 is skewed by 4°" in page.text
    assert 'class="level-warning"' in page.html
    assert "ocr_then_llm#1/ocr#1" in page.text


async def test_runs_are_filtered_by_status_and_found_by_name(seeds: Seeds, mia: Browsing) -> None:
    await an_ordinary_day(seeds)
    assert len(rows((await mia.open("/runs")).html)) == 7
    assert len(rows((await mia.open("/runs?status=failed&status=completed")).html)) == 2
    assert len(rows((await mia.open("/runs?q=licence")).html)) == 1
    assert "No runs match" in (await mia.open("/runs?status=cancelled")).text


async def test_a_long_journal_comes_in_pages(seeds: Seeds, mia: Browsing) -> None:
    claimed = await seeds.claimed()
    for number in range(1100):
        await seeds.did(claimed, f"fetch#{number + 1}")
    seen, path = [], f"/runs/{claimed.run.id}"
    while path:
        page = await mia.open(path)
        seen += re.findall(r'title="(fetch#\d+)"', page.html)
        following = re.search(r'rel="next" href="([^"]+)"', page.html)
        path = following.group(1) if following else ""
    assert seen == [f"fetch#{number + 1}" for number in range(1100)]


async def test_an_unknown_address_is_a_page_for_people_and_a_document_for_programs(mia: Browsing) -> None:
    page = await mia.open("/approvals/apr_none")
    assert page.status == 404
    assert "Go to the inbox" in page.text
    document = await mia.http.get("/approvals/apr_none", headers={"accept": "application/json"})
    assert document.json()["type"] == "urn:agentflow:problem:approval-not-found"


async def test_turns_are_told_apart(seeds: Seeds, site: Served, mia: Browsing) -> None:
    asked = await the_invoice(seeds)
    await site.client.decide(asked.id, Verdict.APPROVE, by="mia")
    again = await seeds.claimed_again(asked.run_id)
    await seeds.did(again, "save#1", kind=EntryKind.STARTED, output=None)
    page = await mia.open(f"/runs/{asked.run_id}")
    first, second = page.html.index("<span>turn 1</span>"), page.html.index("<span>turn 2</span>")
    assert first < page.html.index('title="review_invoice#1"') < second < page.html.index('title="save#1"')
    assert "Running" in page.text
