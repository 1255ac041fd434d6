"""Subscriptions in the browser: made with the secret shown once, looked at, changed, pinged, disabled and removed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from agentflow.states import DispatchStatus
from agentflow.telling import Teller
from approvals_ui.sessions import FIELD
from tests.support.stores import a_trigger
from tests.telling.receiver import answer, receiving

if TYPE_CHECKING:
    from agentflow.records import Subscription
    from tests.support.server import Served
    from tests.ui.conftest import Browsing, Shown

URL = "https://example.com/hook"


async def submitted(mia: Browsing, page: Shown, path: str, **fields: str) -> Shown:
    """What a form with the page's token gives."""
    token = re.search(f'name="{FIELD}" value="([^"]+)"', page.html)
    assert token is not None
    return await mia.post(path, [(FIELD, token[1]), *fields.items()])


@pytest.fixture
async def made(site: Served) -> Subscription:
    return await site.client.subscriptions.add(URL, events=["run.*"], description="<b>Finance</b>", by="ana")


async def test_one_is_made_and_its_secret_is_shown_once(site: Served, mia: Browsing) -> None:
    page = await mia.open("/subscriptions")
    assert "Nobody is told" in page.text
    after = await submitted(mia, page, "/subscriptions", url=URL, events="run.failed approval.*", tasks="bill")

    (one,) = await site.client.subscriptions.all()
    assert one.secret in after.text
    assert (one.events, one.tasks) == ('["run.failed", "approval.*"]', '["bill"]')
    for path in ("/subscriptions", f"/subscriptions/{one.id}"):
        assert one.secret not in (await mia.open(path)).html


async def test_what_is_wrong_with_it_is_said_with_what_was_typed(site: Served, mia: Browsing) -> None:
    page = await mia.open("/subscriptions")
    after = await submitted(mia, page, "/subscriptions", url="ftp://example.com", events="run.done")

    assert "Nothing was added" in after.text
    assert 'value="run.done"' in after.html
    assert await site.client.subscriptions.all() == []


async def test_what_was_sent_is_shown_with_each_attempt(site: Served, mia: Browsing, made: Subscription) -> None:
    async with receiving() as receiver:
        receiver.answers = answer(503, b"<script>down</script>")
        await site.client.subscriptions.change(made.id, url=receiver.url, by="mia")
        await site.store.trigger(a_trigger())
        teller = Teller(site.store, dev=True)
        await teller.look()
        await teller.settled()
    page = await mia.open(f"/subscriptions/{made.id}")
    assert "<b>Finance</b>" not in page.html
    for shown in ("run.started", "Pending", "answered 503"):
        assert shown in page.text, shown
    (sent,) = (await site.client.subscriptions.dispatches()).items
    one = await mia.open(f"/dispatches/{sent.id}")
    assert "<script>down" not in one.html
    for shown in ("503", sent.id, sent.run_id, '"type": "run.started"'):
        assert shown in one.text, shown

    await submitted(mia, one, f"/dispatches/{sent.id}/resend")
    assert (await site.client.subscriptions.dispatch(sent.id)).requested_by == "mia"
    assert "Nothing of that kind" in (await mia.open(f"/subscriptions/{made.id}?status=failed")).text


async def test_it_is_changed_pinged_disabled_enabled_and_removed(
    site: Served, mia: Browsing, made: Subscription
) -> None:
    here, group = f"/subscriptions/{made.id}", site.client.subscriptions
    page = await mia.open(here)
    await submitted(mia, page, f"{here}/change", url="https://other.example/", events="*", tasks="", description="All")
    changed = await group.one(made.id)
    assert (changed.url, changed.events, changed.description) == ("https://other.example/", '["*"]', "All")
    refused = await submitted(mia, page, f"{here}/change", url="https://other.example/", events="a.b")
    assert "Nothing was changed" in refused.text

    pinged = await submitted(mia, page, f"{here}/ping")
    assert "ping" in pinged.text
    await submitted(mia, page, f"{here}/disable", reason="moved")
    assert (await group.one(made.id)).disabled_reason == "moved"
    assert (await group.dispatches()).items[0].status is DispatchStatus.DISCARDED
    await submitted(mia, page, f"{here}/enable")
    assert (await group.one(made.id)).disabled_at is None
    rotated = await submitted(mia, page, f"{here}/secret", keep_for="1h")
    assert (await group.one(made.id)).secret in rotated.text
    await submitted(mia, page, f"{here}/remove")
    assert await group.all() == []


async def test_forms_of_others_change_nothing(site: Served, mia: Browsing, made: Subscription) -> None:
    refused = await mia.post(f"/subscriptions/{made.id}/remove", [("csrf", "guessed")])
    assert re.search("Nothing was changed", refused.text)
    assert await site.client.subscriptions.all() == [made]
