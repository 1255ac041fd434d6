"""Webhooks on the command line: who may send, what was received, having it delivered again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentflow.store import open_store
from tests.cli.shell import Shell
from tests.support.deliveries import a_delivery, a_refused

if TYPE_CHECKING:
    from agentflow.records import Delivery
    from agentflow.requests import ReceiveDelivery

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
APP = f"""
    from agentflow import task
    from agentflow.verifiers import github, standard, unverified


    @task.webhook("/github", verify=github("It's a Secret to Everybody"))
    @task.webhook("/open", verify=unverified())
    @task
    async def build(n: int, note: str = "") -> int:
        return n


    @task.webhook("/orders", verify=standard(["{SECRET}", "{SECRET}"]), where=lambda order: False, rate="50/s")
    @task
    async def order(order: dict) -> None: ...
"""


def receive(shell: Shell, *requests: ReceiveDelivery) -> list[Delivery]:
    async def received() -> list[Delivery]:
        store = await open_store(f"sqlite:///{shell.folder / 'agentflow.db'}")
        try:
            return [(await store.receive_delivery(one)).delivery for one in requests]
        finally:
            await store.close()

    return asyncio.run(received())


@pytest.fixture
def shop(agentflow: Shell) -> Shell:
    agentflow.write("app.py", APP)
    return agentflow


def test_the_addresses_of_a_module_are_listed_and_open_ones_are_said_loudly(shop: Shell) -> None:
    listed = shop("webhooks", "app.py", "--json")
    by_path: dict[str, Any] = {one["path"]: one for one in listed.document}

    assert list(by_path) == ["/github", "/open", "/orders"]
    assert (by_path["/github"]["verified"], by_path["/github"]["task"]) == ("GitHub", "build")
    assert (by_path["/orders"]["secrets"], by_path["/orders"]["rate"]) == (2, "50/1s")
    assert [one["is_open"] for one in listed.document] == [False, True, False]
    assert "WARNING: webhook /open is unverified(): whoever reaches it can start 'build'" in listed.err
    told = shop("webhooks", "app.py")
    assert "NOT VERIFIED" in told.out
    for ended in (listed, told):
        assert "Everybody" not in ended.out + ended.err
        assert SECRET not in ended.out + ended.err


def test_deliveries_are_listed_filtered_and_found_by_the_senders_id(shop: Shell) -> None:
    started, refused, _ = receive(shop, a_delivery("d1"), a_refused("d2"), a_delivery("d2", webhook="/orders"))

    everything = shop("deliveries", "list", "--json").document
    assert len(everything["deliveries"]) == 3
    only = shop("deliveries", "list", "--outcome", "refused", "--webhook", "/github", "--json").document
    assert [(one["id"], one["reason"]) for one in only["deliveries"]] == [(refused.id, "the body is no order")]
    assert len(shop("deliveries", "list", "--id", "d2", "--json").document["deliveries"]) == 2
    first = shop("deliveries", "list", "--limit", "2", "--json").document
    rest = shop("deliveries", "list", "--cursor", first["next_cursor"], "--json").document
    assert len(rest["deliveries"]) == 1
    line = [one for one in shop("deliveries", "list").out.splitlines() if started.id in one]
    assert started.run_id is not None
    assert started.run_id in line[0]


def test_one_delivery_is_shown_with_its_headers_and_body(shop: Shell) -> None:
    [refused] = receive(shop, a_refused("d1", '{"n":"\\u202eevil"}'))

    document = shop("deliveries", "show", refused.id, "--json").document
    assert (document["headers"], document["body"]) == ([["x-github-event", "push"]], '{"n":"\\u202eevil"}')
    told = shop("deliveries", "show", refused.id).out
    for said in ("x-github-event: push", "the body is no order", "at /n: found 1", '"n": "⟨U+202E', "JSON, 18 bytes"):
        assert said in told, said
    assert shop("deliveries", "show", refused.id, "--raw").out == '{"n":"\\u202eevil"}'
    missing = shop("deliveries", "show", "dlv_gone", "--json")
    assert (missing.code, missing.document["error"]["type"]) == (3, "DeliveryNotFound")


def test_a_delivery_is_judged_again_by_the_code_that_is_there(shop: Shell) -> None:
    started, unfit, order = receive(
        shop, a_delivery("d1"), a_refused("d2", '{"n":"x"}'), a_delivery("d3", "{}", webhook="/orders")
    )

    made = shop("deliveries", "redeliver", started.id, "app.py", "--json")
    assert (made.code, made.document["outcome"], made.document["redelivery_of"]) == (0, "started", started.id)
    assert made.document["run_id"] not in {None, started.run_id}
    refused = shop("deliveries", "redeliver", unfit.id, "app.py")
    assert refused.code == 1
    assert "refused again" in refused.err
    ignored = shop("deliveries", "redeliver", order.id, "app.py", "--json")
    assert (ignored.code, ignored.document["outcome"]) == (0, "ignored")
    assert "passed over it" in ignored.err
