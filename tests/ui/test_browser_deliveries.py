"""Deliveries whose sender wishes us ill: what it wrote acts nowhere, whichever part of the request it stands in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from agentflow.tasks.deliveries import text_of
from tests.support.deliveries import a_refused
from tests.ui.test_browser_hostile import PLAIN, settled, unfolded

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.server import Served


def bodies(text: str) -> list[bytes]:
    """The text as JSON, with an escaped surrogate beside it; as no JSON; and among bytes that are no text."""
    return [
        json.dumps({text: [text], "n": "\ud83d"}).encode(),
        f"payload={text}".encode(),
        text.encode(),
        b"\xff\x00" + text.encode(),
    ]


@pytest.mark.parametrize("part", range(3))
async def test_a_hostile_delivery_is_only_text(site: Served, page: Page, part: int) -> None:
    for text in PLAIN[part::3]:
        for n, content in enumerate(bodies(text)):
            body, encoding = text_of(content)
            request = a_refused(
                f"{n}-{''.join(one for one in text if one.isascii() and one.isprintable())}",
                body,
                webhook=f"/{text}",
                encoding=encoding,
                headers=json.dumps([[f"x-{text}", text], ["content-type", text]]),
                reason=text,
                detail=text,
            )
            delivery = (await site.store.receive_delivery(request)).delivery
            await page.goto(f"{site.url}/deliveries/{delivery.id}")
            await unfolded(page)
    await page.goto(f"{site.url}/deliveries")
    await settled(page)
