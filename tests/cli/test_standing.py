"""Standing approvals on the command line: made with terms in words, listed, revoked."""

from __future__ import annotations

import pytest

from tests.cli.shell import Shell

APP = """
    from agentflow import task, wait_for_approval


    @task(id="refunds")
    async def refunds(amount: int) -> str:
        decision = await wait_for_approval({"order": "A-1", "amount": amount}, tool="refund", key="refund.approval")
        return decision.outcome
"""
ADD = ("standing", "add", "refunds", "refund", "--for", "7d", "--reason", "small ones")


@pytest.fixture
def shop(agentflow: Shell) -> Shell:
    """A database with one pending call of `refund`."""
    agentflow.write("app.py", APP)
    assert agentflow("trigger", "app.py:refunds", "--input", '{"amount": 20}').code == 0
    return agentflow


def test_one_is_made_in_words_listed_and_revoked(shop: Shell) -> None:
    made = shop(*ADD, "--where", "amount<=50", "--where", "order=*", "--uses", "3", "--json").document
    assert made["words"] == (
        "calls of refund in runs of refunds where amount is a number from 0 to 50 and order is anything"
    )
    assert (made["holds"], made["uses"], made["most_uses"], made["reason"]) == (True, 0, 3, "small ones")
    assert made["terms"]["additionalProperties"] is False

    assert shop("standing", "list", "--json").document == [made]
    assert "where amount is a number from 0 to 50" in shop("standing", "list").out
    revoked = shop("standing", "revoke", made["id"], "--json").document
    assert (revoked["holds"], revoked["revoked_by"]) == (False, made["made_by"])
    assert shop("standing", "list", "--holding", "--json").document == []


def test_a_dry_run_says_what_it_would_have_approved_and_makes_nothing(shop: Shell) -> None:
    tried = shop(*ADD, "-w", "amount=20", "-w", "order=A-1", "--dry-run")
    assert "nobody has decided such a call before" in tried.err
    assert shop("standing", "list", "--json").document == []


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ([*ADD, "--where", "amount"], 2, "--where: found 'amount'"),
        ([*ADD, "--where", "amount="], 2, "--where: found 'amount='"),
        ([*ADD, "--where", "amount<=many"], 2, "wanted a number from 0"),
        ([*ADD, "--where", "amount<=-5"], 2, "wanted a number from 0"),
        ([*ADD, "--where", "order in A-1"], 2, "wanted 1 to 50 values"),
        ([*ADD, "--where", "a=1", "--where", "a=2"], 2, "two terms for 'a'"),
        ([*ADD[:4], "--for", "31d", "--reason", "long"], 2, "for up to 30 days"),
        ([*ADD[:4], "--for", "7d", "--reason", " "], 2, "needs a reason"),
        (["standing", "revoke", "sta_none"], 3, "no standing approval 'sta_none'"),
    ],
)
def test_what_cannot_be_meant_is_refused(shop: Shell, given: list[str], code: int, said: str) -> None:
    refused = shop(*given)
    assert refused.code == code
    assert said in refused.complaint
    assert shop("standing", "list", "--json").document == []
