"""A signature or a token in a header, no proof at all, and what holds for the secrets of every verifier."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import agentflow.verifiers
from agentflow.errors import DefinitionError, InvalidSetting, NotAuthentic
from agentflow.verifiers import Secret, Sent, Verifier, bearer, github, hmac_sha256, slack, standard, stripe, unverified
from tests.support.signing import SLACK_SECRET, STANDARD_SECRET, STRIPE_SECRET, hexadecimal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.signing import Headers

AT = 1_700_000_000
NOW = datetime.fromtimestamp(AT, UTC)
TOKEN = "0123456789abcdef"


def sent(headers: Headers, body: bytes = b"{}", *, at: datetime = NOW) -> Sent:
    return Sent(headers, body, at)


def hub(body: bytes = b"{}", *, key: str = "key", prefix: str = "", signed: bytes | None = None) -> Headers:
    return [("X-Sign", prefix + hexadecimal(key, body if signed is None else signed))]


# -- an HMAC in a header


def test_without_an_id_header_the_body_is_its_own_id() -> None:
    verifier = hmac_sha256("key", header="X-Sign")
    digest = "sha256:" + hashlib.sha256(b"{}").hexdigest()
    assert verifier.verify(sent(hub())) == digest
    assert verifier.verify(sent([(name, value.upper()) for name, value in hub()])) == digest


def test_a_signature_may_be_in_base64() -> None:
    verifier = hmac_sha256("key", header="X-Sign", encoding="base64", prefix="HMAC ")
    text = base64.b64encode(hmac.new(b"key", b"{}", hashlib.sha256).digest()).decode()
    assert verifier.verify(sent([("x-sign", f"HMAC {text}")]))
    with pytest.raises(NotAuthentic):
        verifier.verify(sent([("x-sign", f"HMAC {text.swapcase()}")]))


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (hub(prefix="sha1="), 'does not begin with "sha256="'),
        (hub(), 'does not begin with "sha256="'),
        (hub(prefix="sha256=") * 2, "the X-Sign header occurs 2 times"),
        ([("X-Sign", "sha256=")], "no signature matches"),
        (hub(prefix="sha256=", key="other"), "no signature matches"),
        ([*hub(prefix="sha256="), ("x-id", "2")], "the X-Id header occurs 2 times"),
        ([], "the X-Sign header is missing"),
    ],
)
def test_a_signature_header_of_another_form_is_not_authentic(headers: Headers, reason: str) -> None:
    verifier = hmac_sha256("key", header="X-Sign", prefix="sha256=", id_header="X-Id")
    with pytest.raises(NotAuthentic, match=reason):
        verifier.verify(sent([("X-Id", "1"), *headers]))


@pytest.mark.parametrize("id", [[], [("X-Id", "")], [("X-Id", "a b")], [("X-Id", "x" * 256)]])
def test_an_id_header_that_names_no_delivery_is_refused(id: Headers) -> None:
    for verifier in (hmac_sha256("key", header="X-Sign", id_header="X-Id"), unverified(id_header="X-Id")):
        with pytest.raises(NotAuthentic, match="the X-Id header is"):
            verifier.verify(sent([*hub(), *id]))


def timed(signed: str | None = None) -> Verifier:
    return hmac_sha256("key", header="X-Sign", timestamp_header="X-Time", signed=signed)


def test_a_time_of_sending_is_signed_and_must_be_recent() -> None:
    headers = [*hub(signed=f"{AT}.{{}}".encode()), ("X-Time", str(AT))]
    assert timed().verify(sent(headers))
    with pytest.raises(NotAuthentic, match="more than 5m away"):
        timed().verify(sent(headers, at=NOW + timedelta(minutes=6)))
    with pytest.raises(NotAuthentic, match="no signature matches"):
        timed().verify(sent([headers[0], ("X-Time", str(AT + 1))]))
    with pytest.raises(NotAuthentic, match="the X-Time header is missing"):
        timed().verify(sent(headers[:1]))


def test_what_is_signed_may_be_put_together_in_another_way() -> None:
    headers = [*hub(signed=f"v7:{{}}:{AT}!".encode()), ("X-Time", str(AT))]
    assert timed("v7:{body}:{timestamp}!").verify(sent(headers))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"header": "X Sign"}, "'X Sign' is no name of an HTTP header"),
        ({"header": ""}, "'' is no name of an HTTP header"),
        ({"id_header": "X:Id"}, "'X:Id' is no name"),
        ({"timestamp_header": "\n"}, "is no name"),
        ({"encoding": "rot13"}, "encoding='rot13': wanted 'hex' or 'base64'"),
        ({"signed": "{timestamp}.{body}"}, "no {timestamp}, since there is no timestamp_header"),
        ({"signed": "body"}, "wanted {body} once"),
        ({"signed": "{body}{body}"}, "wanted {body} once"),
        ({"timestamp_header": "X-Time", "signed": "{body}"}, "{timestamp} once, since there is a timestamp_header"),
        ({"timestamp_header": "X-Time", "signed": "{timestamp}{body}"}, "can be divided in two ways"),
        ({"timestamp_header": "X-Time", "signed": "{timestamp}0{body}"}, "can be divided in two ways"),
        ({"verify_token": ""}, "secret is empty"),
        ({"tolerance": "2h"}, "at most 1 hour"),
    ],
)
def test_an_hmac_that_could_not_be_verified_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        hmac_sha256("key", **({"header": "X-Sign"} | options))
    assert said in str(caught.value)


ASKED = {"hub.mode": ["subscribe"], "hub.verify_token": ["agreed"], "hub.challenge": ["1158201444"]}


def test_a_question_with_the_token_agreed_on_is_answered_with_its_challenge() -> None:
    verifier = hmac_sha256("key", header="X-Sign", verify_token=["agreed", "new"])
    assert verifier.handshake(ASKED) == "1158201444"
    assert verifier.handshake(ASKED | {"hub.verify_token": ["new"]}) == "1158201444"
    assert verifier.handshake({}) is None
    assert hmac_sha256("key", header="X-Sign").handshake(ASKED) is None


@pytest.mark.parametrize(
    "other",
    [
        {"hub.verify_token": ["guessed"]},
        {"hub.verify_token": [""]},
        {"hub.verify_token": []},
        {"hub.verify_token": ["agreed", "guessed"]},
        {"hub.mode": ["unsubscribe"]},
        {"hub.challenge": ["<script>alert(1)</script> "]},
        {"hub.challenge": ["1" * 201]},
        {"hub.challenge": []},
    ],
)
def test_any_other_question_is_not_answered(other: dict[str, list[str]]) -> None:
    with pytest.raises(NotAuthentic):
        hmac_sha256("key", header="X-Sign", verify_token="agreed").handshake(ASKED | other)


# -- a token in a header


def test_a_bearer_of_the_token_is_let_in() -> None:
    verifier = bearer([TOKEN, "another-of-these-tokens"], id_header="X-Id")
    for given in (f"Bearer {TOKEN}", f"bearer  {TOKEN}", "BEARER another-of-these-tokens"):
        assert verifier.verify(sent([("authorization", given), ("X-Id", "d1")])) == "d1"
    assert bearer(TOKEN, header="X-Gitlab-Token").verify(sent([("x-gitlab-token", TOKEN)])) == sent([]).digest


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "the Authorization header is missing"),
        ([("authorization", TOKEN)], "is no Bearer token"),
        ([("authorization", f"Basic {TOKEN}")], "is no Bearer token"),
        ([("authorization", "Bearer ")], "the token is not the one agreed on"),
        ([("authorization", f"Bearer {TOKEN}0")], "the token is not the one agreed on"),
        ([("authorization", f"Bearer {TOKEN[:-1]}")], "the token is not the one agreed on"),
        ([("authorization", f"Bearer {TOKEN}\u00fc")], "the token is not the one agreed on"),
        ([("authorization", f"Bearer {TOKEN}"), ("Authorization", "Bearer x")], "occurs 2 times"),
    ],
)
def test_whoever_does_not_bring_the_token_is_not(headers: Headers, reason: str) -> None:
    with pytest.raises(NotAuthentic, match=reason):
        bearer(TOKEN).verify(sent(headers))


@pytest.mark.parametrize("token", ["short", "with a space in it", "mit-ümlaut-und-lang"])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(token: str) -> None:
    with pytest.raises(DefinitionError, match="at least 16 visible ASCII characters") as caught:
        bearer(token)
    assert token not in str(caught.value)


def test_unverified_takes_everything_and_says_so() -> None:
    assert unverified().is_open
    assert unverified().verify(sent([])) == sent([]).digest
    assert unverified(id_header="X-Id").verify(sent([("x-id", "d1")])) == "d1"


# -- secrets

WITH_SECRET: dict[str, Callable[[Any], Verifier]] = {
    "standard": standard,
    "github": github,
    "stripe": stripe,
    "slack": slack,
    "hmac_sha256": lambda secret: hmac_sha256(secret, header="X-Sign"),
    "bearer": bearer,
}
GOOD = {"standard": STANDARD_SECRET, "stripe": STRIPE_SECRET, "slack": SLACK_SECRET}


@pytest.mark.parametrize("name", WITH_SECRET)
def test_an_empty_secret_lets_nobody_sign(name: str) -> None:
    for empty in ("", " ", [], None, [GOOD.get(name, TOKEN), ""]):
        with pytest.raises(DefinitionError):
            WITH_SECRET[name](empty)


@pytest.mark.parametrize("name", WITH_SECRET)
def test_a_secret_is_never_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = GOOD.get(name, TOKEN)
    verifier = WITH_SECRET[name](secret)
    assert secret not in repr(verifier) + str(verifier) + repr(verifier.secrets)
    monkeypatch.setenv("OF_THE_SENDER", f"{secret}\n")
    with pytest.raises(InvalidSetting, match=r"OF_THE_SENDER.*white space") as caught:
        WITH_SECRET[name](Secret.env("OF_THE_SENDER")).require_secrets()
    assert secret not in str(caught.value)


@pytest.mark.parametrize("name", WITH_SECRET)
def test_a_secret_of_the_environment_is_read_when_it_is_needed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OF_THE_SENDER", raising=False)
    verifier = WITH_SECRET[name](Secret.env("OF_THE_SENDER"))
    for needs in (verifier.require_secrets, verifier.revealed):
        with pytest.raises(InvalidSetting, match="OF_THE_SENDER is not set"):
            needs()
    monkeypatch.setenv("OF_THE_SENDER", GOOD.get(name, TOKEN))
    verifier.require_secrets()
    assert verifier.revealed() == [GOOD.get(name, TOKEN)]


def test_a_verify_token_is_looked_for_at_start_up_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGREED_ON", raising=False)
    with pytest.raises(InvalidSetting, match="AGREED_ON is not set"):
        hmac_sha256("key", header="X-Sign", verify_token=Secret.env("AGREED_ON")).require_secrets()


def test_every_secret_is_compared_with_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    compare = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    verifier = hmac_sha256(["key", "second", "third"], header="X-Sign")
    assert verifier.verify(sent(hub()))
    assert len(compared) == 3


def test_no_module_of_the_package_has_the_name_of_something_it_exports() -> None:
    for module in {*agentflow.verifiers._MODULES}:
        importlib.import_module(module)
    assert all(not hasattr(getattr(agentflow.verifiers, name), "__path__") for name in agentflow.verifiers.__all__)
    assert callable(agentflow.verifiers.standard)
    assert not {name.rpartition(".")[2] for name in agentflow.verifiers._MODULES} & {*agentflow.verifiers.__all__}
