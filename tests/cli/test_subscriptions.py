"""Subscriptions on the command line: the secret shown once, changed, disabled, and what is on its way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.shell import Shell

URL = "https://example.com/hook"
ADD = ("subscriptions", "add", URL, "--event", "run.*", "--task", "billing.*", "--description", "Finance")


@pytest.fixture
def shop(agentflow: Shell) -> Shell:
    """A database."""
    agentflow.write("app.py", "from agentflow import task\n\n\n@task\nasync def greet() -> None: ...\n")
    assert agentflow("trigger", "app.py:greet").code == 0
    return agentflow


def added(shop: Shell) -> dict[str, Any]:
    made: dict[str, Any] = shop(*ADD, "--json").document
    return made


def test_one_is_added_with_its_secret_shown_once(shop: Shell) -> None:
    made = added(shop)
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert (made["url"], made["events"], made["tasks"], made["description"]) == (
        URL, ["run.*"], ["billing.*"], "Finance",
    )  # fmt: skip

    for shown in (shop("subscriptions", "list", "--json"), shop("subscriptions", "show", made["id"], "--json")):
        assert secret not in shown.out
        assert made["id"] in shown.out
    assert shop("subscriptions", "list", "--json").document == [made]
    bare = shop(*ADD)
    assert bare.out.startswith("whsec_")
    assert "shown this once" in bare.err


def test_it_is_changed_disabled_enabled_and_removed(shop: Shell) -> None:
    made = added(shop)
    changed = shop("subscriptions", "change", made["id"], "-e", "run.failed", "--every-task", "--json").document
    assert (changed["events"], changed["tasks"], changed["url"]) == (["run.failed"], [], URL)
    disabled = shop("subscriptions", "disable", made["id"], "-m", "moved", "--json").document
    assert (disabled["disabled_reason"], disabled["disabled_by"]) == ("moved", made["created_by"])
    refused = shop("subscriptions", "ping", made["id"])
    assert (refused.code, "is disabled (moved)" in refused.err) == (4, True)
    assert shop("subscriptions", "enable", made["id"], "--json").document["disabled_at"] is None
    assert shop("subscriptions", "remove", made["id"]).code == 0
    assert shop("subscriptions", "show", made["id"]).code == 3


def test_a_secret_is_replaced_or_named(shop: Shell) -> None:
    made = added(shop)
    after = shop("subscriptions", "rotate-secret", made["id"], "--keep-for", "1h", "--json").document
    assert after["secret"] not in {made["secret"], ""}
    assert after["previous_secret_until"]
    named = shop("subscriptions", "rotate-secret", made["id"], "--secret-env", "HOOK_SECRET", "--json").document
    assert named["secret"] == "env:HOOK_SECRET"
    assert shop("subscriptions", "rotate-secret", made["id"], "--keep-for", "8d").code == 2


def test_a_ping_is_on_its_way_and_is_shown_with_its_body(shop: Shell) -> None:
    made = added(shop)
    sent = shop("subscriptions", "ping", made["id"], "--json").document
    assert (sent["event"], sent["status"], sent["run_id"]) == ("ping", "pending", None)

    listed = shop("dispatches", "list", "--subscription", made["id"], "--status", "pending", "--json").document
    assert [one["id"] for one in listed["items"]] == [sent["id"]]
    shown = shop("dispatches", "show", sent["id"], "--json").document
    assert shown["body"]["data"]["subscription"] == made["id"]
    assert shop("dispatches", "resend", sent["id"], "--json").document["requested_by"] == made["created_by"]
    assert shop("dispatches", "list", "--status", "delivered", "--json").document["items"] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("subscriptions", "add", URL), "found no --event"),
        (("subscriptions", "add", URL, "-e", "run.done"), "no type of event"),
        (("subscriptions", "add", "ftp://example.com", "-e", "*"), "cannot be called"),
        (("dispatches", "list", "--status", "gone"), "wanted one of"),
    ],
)
def test_what_cannot_be_meant_is_said(shop: Shell, given: tuple[str, ...], said: str) -> None:
    ended = shop(*given)
    assert (ended.code, said in ended.complaint) == (2, True), ended
