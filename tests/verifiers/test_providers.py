"""GitHub, Stripe and Slack: their documented examples, and what of each is not authentic."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from agentflow.errors import DefinitionError, NotAuthentic
from agentflow.verifiers import Sent, Verifier, github, slack, stripe
from tests.support.signing import (
    GITHUB_BODY,
    GITHUB_SECRET,
    GITHUB_SIGNATURE,
    SLACK_AT,
    SLACK_BODY,
    SLACK_SECRET,
    SLACK_SIGNATURE,
    STRIPE_SECRET,
    Headers,
    changed,
    github_headers,
    hexadecimal,
    slack_headers,
    stripe_headers,
)

NOW = datetime.fromtimestamp(SLACK_AT, UTC)
LATE = timedelta(minutes=5, seconds=1)


def refused(verifier: Verifier, headers: Headers, body: bytes, reason: str, *, at: datetime = NOW) -> None:
    with pytest.raises(NotAuthentic, match=reason):
        verifier.verify(Sent(headers, body, at))


# -- GitHub


def test_the_published_example_of_github_is_authentic() -> None:
    headers = [("X-Hub-Signature-256", GITHUB_SIGNATURE), ("X-GitHub-Delivery", "72d3162e-cc78")]
    verifier = github(GITHUB_SECRET)
    assert verifier.verify(Sent(headers, GITHUB_BODY, NOW)) == "72d3162e-cc78"
    refused(verifier, headers, GITHUB_BODY + b"!", "no signature matches")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (github_headers(b"{}", secret="another"), "no signature matches"),
        (changed(github_headers(b"{}"), "x-hub-signature-256", "sha256="), "no signature matches"),
        (changed(github_headers(b"{}"), "x-hub-signature-256", "sha1=0123"), 'does not begin with "sha256="'),
        (changed(github_headers(b"{}"), "x-hub-signature-256", ""), "the X-Hub-Signature-256 header is missing"),
        (github_headers(b"{}") * 2, "the X-Hub-Signature-256 header occurs 2 times"),
        ([*github_headers(b"{}"), ("X-GITHUB-DELIVERY", "2")], "the X-GitHub-Delivery header occurs 2 times"),
        (changed(github_headers(b"{}"), "x-github-delivery", ""), "the X-GitHub-Delivery header is missing"),
        (changed(github_headers(b"{}"), "x-github-delivery", "a b"), "not 1 to 255 visible"),
        (
            [("x-hub-signature", "sha1=" + "0" * 40), ("x-github-delivery", "1")],
            "X-Hub-Signature-256 header is missing",
        ),
    ],
)
def test_what_github_did_not_send_is_not_authentic(headers: Headers, reason: str) -> None:
    refused(github(GITHUB_SECRET), headers, b"{}", reason)


def test_both_secrets_of_github_are_taken_while_one_is_replaced() -> None:
    verifier = github(["the new one", GITHUB_SECRET])
    for secret in ("the new one", GITHUB_SECRET):
        assert verifier.verify(Sent(github_headers(b"{}", secret=secret), b"{}", NOW))


# -- Stripe

EVENT = b'{"id": "evt_1NG8Du2eZvKYlo2CUI79vXWy", "object": "event"}'


def test_what_stripe_signs_is_authentic_and_has_the_events_id() -> None:
    verifier = stripe(STRIPE_SECRET)
    assert verifier.verify(Sent(stripe_headers(EVENT, at=SLACK_AT), EVENT, NOW)) == "evt_1NG8Du2eZvKYlo2CUI79vXWy"


def test_other_schemes_and_other_signatures_in_stripes_header_are_passed_over() -> None:
    headers = stripe_headers(EVENT, at=SLACK_AT, others=f",v1={'0' * 64},v0={'1' * 64}")
    assert stripe(STRIPE_SECRET).verify(Sent(headers, EVENT, NOW)).startswith("evt_")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"id": 3}',
        b'{"id": ""}',
        b'{"id": "a b"}',
        b"{",
        b"[" * 9999,
        '{"id": "evt_1"}'.encode("utf-16"),
    ],
)
def test_a_body_of_stripe_without_an_id_is_its_own(body: bytes) -> None:
    sent = Sent(stripe_headers(body, at=SLACK_AT), body, NOW)
    assert stripe(STRIPE_SECRET).verify(sent) == sent.digest


def signed_as(scheme: str) -> Headers:
    return [
        ("stripe-signature", f"t={SLACK_AT},{scheme}={hexadecimal(STRIPE_SECRET, f'{SLACK_AT}.'.encode() + EVENT)}")
    ]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (stripe_headers(EVENT, at=SLACK_AT, secret="whsec_another"), "no signature matches"),
        (stripe_headers(EVENT, at=SLACK_AT, others=f",t={SLACK_AT}"), r"has 2 times \(t=\)"),
        ([("stripe-signature", f"v1={'0' * 64}")], r"has 0 times \(t=\)"),
        ([("stripe-signature", f"t={SLACK_AT}")], "no signature matches"),
        ([("stripe-signature", f"t=0{SLACK_AT},v1=00")], "no whole number of seconds"),
        (signed_as("v0"), "no signature matches"),
        ([("stripe-signature", f"t={SLACK_AT}" + ",v1=00" * 21)], "at most 20"),
        (stripe_headers(EVENT, at=SLACK_AT) * 2, "the Stripe-Signature header occurs 2 times"),
        ([], "the Stripe-Signature header is missing"),
    ],
)
def test_what_stripe_did_not_send_is_not_authentic(headers: Headers, reason: str) -> None:
    refused(stripe(STRIPE_SECRET), headers, EVENT, reason)


def test_an_api_key_is_no_secret_of_a_stripe_endpoint() -> None:
    with pytest.raises(DefinitionError, match='begins with "whsec_"') as caught:
        stripe("sk_live_4eC39HqLyjWDarjtT1zdp7dc")
    assert "4eC39" not in str(caught.value)


# -- Slack


def test_the_published_example_of_slack_is_authentic() -> None:
    headers = [("X-Slack-Request-Timestamp", str(SLACK_AT)), ("X-Slack-Signature", SLACK_SIGNATURE)]
    sent = Sent(headers, SLACK_BODY, NOW)
    assert slack(SLACK_SECRET).verify(sent) == sent.digest
    refused(slack(SLACK_SECRET), headers, SLACK_BODY.replace(b"foobar", b"foobaz"), "no signature matches")


def test_an_event_of_slack_has_its_own_id() -> None:
    body = b'{"type": "event_callback", "event_id": "Ev08MFMKH6"}'
    assert slack(SLACK_SECRET).verify(Sent(slack_headers(body), body, NOW)) == "Ev08MFMKH6"


def test_slacks_question_whether_an_address_is_ours_is_answered_with_its_challenge() -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"})
    sent = Sent(slack_headers(body.encode()), body.encode(), NOW)
    assert slack(SLACK_SECRET).challenge(sent) == "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"


@pytest.mark.parametrize(
    "body",
    [
        b'{"type": "event_callback", "challenge": "x"}',
        b'{"type": "url_verification"}',
        b'{"type": "url_verification", "challenge": "<script>\\n"}',
        b'{"type": "url_verification", "challenge": 3}',
        b"[]",
    ],
)
def test_nothing_else_is_a_question_of_slack(body: bytes) -> None:
    assert slack(SLACK_SECRET).challenge(Sent(slack_headers(body), body, NOW)) is None


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (slack_headers(b"{}", secret="another"), "no signature matches"),
        (changed(slack_headers(b"{}"), "x-slack-request-timestamp", str(SLACK_AT + 1)), "no signature matches"),
        (changed(slack_headers(b"{}"), "x-slack-request-timestamp", "now"), "no whole number of seconds"),
        (changed(slack_headers(b"{}"), "x-slack-signature", "v1=00"), 'does not begin with "v0="'),
        (slack_headers(b"{}")[:1], "the X-Slack-Signature header is missing"),
        (slack_headers(b"{}")[1:], "the X-Slack-Request-Timestamp header is missing"),
        ([*slack_headers(b"{}"), ("X-Slack-Request-Timestamp", "1")], "occurs 2 times"),
    ],
)
def test_what_slack_did_not_send_is_not_authentic(headers: Headers, reason: str) -> None:
    refused(slack(SLACK_SECRET), headers, b"{}", reason)


@pytest.mark.parametrize("away", [LATE, -LATE])
def test_a_request_too_old_or_too_new_is_refused(away: timedelta) -> None:
    refused(slack(SLACK_SECRET), slack_headers(b"{}"), b"{}", "more than 5m away", at=NOW + away)
    refused(stripe(STRIPE_SECRET), stripe_headers(EVENT, at=SLACK_AT), EVENT, "more than 5m away", at=NOW + away)
    wider = slack(SLACK_SECRET, tolerance="10m"), stripe(STRIPE_SECRET, tolerance="10m")
    assert wider[0].verify(Sent(slack_headers(b"{}"), b"{}", NOW + away))
    assert wider[1].verify(Sent(stripe_headers(EVENT, at=SLACK_AT), EVENT, NOW + away))
