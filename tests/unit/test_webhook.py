"""Webhooks: what is taken for authentic, and what of it becomes input."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from agentflow.errors import DefinitionError, InvalidInput, InvalidSetting, NotAuthentic
from agentflow.tasks.secret import Secret
from agentflow.tasks.verifiers import HmacSignature
from agentflow.tasks.webhook import Verified, Webhook, webhook

# The example message of the Standard Webhooks specification and of its libraries' tests.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
STAMP = "1614265330"
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
NOW = datetime.fromtimestamp(int(STAMP), UTC)
OTHER = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()

Headers = list[tuple[str, str]]


def signed(body: bytes, *, id: str = MESSAGE, stamp: str = STAMP, secret: str = SECRET) -> Headers:
    """Headers signed without the library, as the specification describes it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return headers(id, stamp, f"v1,{base64.b64encode(digest).decode()}")


def headers(id: str = MESSAGE, stamp: str = STAMP, signature: str = SIGNATURE) -> Headers:
    return [
        ("content-type", "application/json"),
        ("webhook-id", id),
        ("webhook-timestamp", stamp),
        ("webhook-signature", signature),
    ]


def changed(name: str, value: str) -> Headers:
    return [(key, value if key == name else old) for key, old in headers()]


def orders(**options: object) -> Webhook:
    return Webhook("/orders", "order", **({"secret": SECRET, "parameter": "order"} | options))


def test_the_published_example_is_authentic() -> None:
    assert orders().verify(headers(), BODY, NOW) == Verified(
        delivery_id=MESSAGE,
        payload={"test": 2432232314},
        input={"order": {"test": 2432232314}},
        digest="sha256:" + hashlib.sha256(BODY).hexdigest(),
    )


def test_headers_are_found_in_any_case() -> None:
    assert orders().verify([(name.title(), value) for name, value in headers()], BODY, NOW).delivery_id == MESSAGE


def test_any_of_several_secrets_may_have_signed() -> None:
    rotating = orders(secret=None, secrets=[OTHER, Secret(SECRET)])
    assert rotating.verify(headers(), BODY, NOW).delivery_id == MESSAGE
    assert rotating.verify(signed(BODY, secret=OTHER), BODY, NOW).delivery_id == MESSAGE
    with pytest.raises(NotAuthentic, match="no signature matches"):
        orders(secret=OTHER).verify(headers(), BODY, NOW)


def test_any_of_several_signatures_may_match_and_unknown_versions_are_passed_over() -> None:
    bad = "v1," + "A" * 43 + "="
    request = headers(signature=f"v1a,{SIGNATURE[3:]} {bad} {SIGNATURE}")
    assert orders().verify(request, BODY, NOW).delivery_id == MESSAGE


@pytest.mark.parametrize(
    ("request_headers", "reason"),
    [
        (changed("webhook-id", "msg_other"), "no signature matches"),
        (changed("webhook-timestamp", "1614265331"), "no signature matches"),
        (changed("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF="), "no signature matches"),
        (changed("webhook-signature", SIGNATURE.replace("v1", "v2")), "no signature matches"),
        (changed("webhook-signature", "v1"), "no signature matches"),
        (changed("webhook-signature", "v1,ü"), "no signature matches"),
        (changed("webhook-signature", " ".join(["v1,AAAA"] * 21)), "at most 20"),
        (changed("webhook-signature", ""), "the webhook-signature header is missing"),
        (headers()[:-1], "the webhook-signature header is missing"),
        ([*headers(), ("webhook-signature", SIGNATURE)], "the webhook-signature header occurs 2 times"),
        ([*headers(), ("Webhook-Id", MESSAGE)], "the webhook-id header occurs 2 times"),
        ([*headers(), ("WEBHOOK-TIMESTAMP", STAMP)], "the webhook-timestamp header occurs 2 times"),
        (changed("webhook-timestamp", "01614265330"), "no whole number"),
        (changed("webhook-timestamp", "1614265330.0"), "no whole number"),
        (changed("webhook-timestamp", "+1614265330"), "no whole number"),
        (changed("webhook-timestamp", "١٦١٤٢٦٥٣٣٠"), "no whole number"),
        (changed("webhook-timestamp", "nan"), "no whole number"),
        (changed("webhook-timestamp", "9" * 40), "no whole number"),
    ],
)
def test_a_changed_missing_or_doubled_header_is_not_authentic(request_headers: Headers, reason: str) -> None:
    with pytest.raises(NotAuthentic, match=reason):
        orders().verify(request_headers, BODY, NOW)


@pytest.mark.parametrize("body", [b'{"test":2432232314}', BODY + b"\n", b"", BODY.decode().encode("utf-16")])
def test_a_body_with_one_other_byte_is_not_authentic(body: bytes) -> None:
    with pytest.raises(NotAuthentic):
        orders().verify(headers(), body, NOW)


@pytest.mark.parametrize("id", ["msg.1614265330", "msg 1", "msg\u00e9", "m" * 256, "msg\n1"])
def test_an_id_that_could_shift_what_is_signed_is_refused_even_if_signed(id: str) -> None:
    with pytest.raises(NotAuthentic, match="the webhook-id header is not"):
        orders().verify(signed(BODY, id=id), BODY, NOW)


@pytest.mark.parametrize("away", [timedelta(minutes=5, seconds=1), -timedelta(minutes=5, seconds=1)])
def test_a_request_too_old_or_too_new_is_refused(away: timedelta) -> None:
    with pytest.raises(NotAuthentic, match="more than 0:05:00 away"):
        orders().verify(headers(), BODY, NOW + away)


@pytest.mark.parametrize("away", [timedelta(minutes=5), -timedelta(minutes=5)])
def test_a_request_within_the_tolerance_is_taken(away: timedelta) -> None:
    assert orders().verify(headers(), BODY, NOW + away)
    with pytest.raises(NotAuthentic):
        orders(tolerance="1m").verify(headers(), BODY, NOW + away)


# -- an HMAC over the body in a header


def test_the_published_example_of_github_is_authentic() -> None:
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    body = b"Hello, World!"
    hook = Webhook("/plain", "t", secret="It's a Secret to Everybody", verify="github", parameter="text")
    request = [("X-Hub-Signature-256", f"sha256={digest}"), ("X-GitHub-Delivery", "72d3162e")]
    with pytest.raises(InvalidInput, match="wanted a JSON document"):  # authentic, but no JSON
        hook.verify(request, body, NOW)
    with pytest.raises(NotAuthentic, match="no signature matches"):
        hook.verify(request, body + b"!", NOW)


def hub(body: bytes, key: str = "key", name: str = "X-Sign", prefix: str = "") -> Headers:
    return [(name, prefix + hmac.new(key.encode(), body, hashlib.sha256).hexdigest())]


def test_without_an_id_header_the_body_is_its_own_id() -> None:
    hook = Webhook("/plain", "t", secret="key", verify=HmacSignature("X-Sign"), parameter="order")
    delivery = hook.verify(hub(b"{}"), b"{}", NOW)
    assert delivery.delivery_id == delivery.digest == "sha256:" + hashlib.sha256(b"{}").hexdigest()
    upper = [(name, value.upper()) for name, value in hub(b"{}")]
    assert hook.verify(upper, b"{}", NOW) == delivery


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (hub(b"{}", prefix="sha1="), 'does not begin with "sha256="'),
        (hub(b"{}"), 'does not begin with "sha256="'),
        (hub(b"{}", prefix="sha256=") * 2, "the X-Sign header occurs 2 times"),
        ([("X-Sign", "sha256=")], "no SHA-256 in hexadecimal"),
        (hub(b"{}", prefix="sha256=", key="other"), "no signature matches"),
        ([*hub(b"{}", prefix="sha256="), ("x-id", "2")], "the X-Id header occurs 2 times"),
        ([], "the X-Sign header is missing"),
    ],
)
def test_a_signature_header_of_another_form_is_not_authentic(sent: Headers, reason: str) -> None:
    verify = HmacSignature("X-Sign", prefix="sha256=", id_header="X-Id")
    hook = Webhook("/plain", "t", secret="key", verify=verify, parameter="order")
    with pytest.raises(NotAuthentic, match=reason):
        hook.verify([("X-Id", "1"), *sent], b"{}", NOW)


@pytest.mark.parametrize("id", [[], [("X-Id", "")], [("X-Id", "a b")], [("X-Id", "x" * 256)]])
def test_an_id_header_that_names_no_delivery_is_refused(id: Headers) -> None:
    hook = Webhook("/plain", "t", secret="key", verify=HmacSignature("X-Sign", id_header="X-Id"), parameter="order")
    with pytest.raises(NotAuthentic, match="the X-Id header is"):
        hook.verify([*hub(b"{}"), *id], b"{}", NOW)


# -- the body


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "found Expecting value"),
        (b"{", "found Expecting"),
        (b"\xef\xbb\xbf{}", "found Unexpected UTF-8 BOM"),
        (b'{"a": 1, "a": 2}', "the name 'a' twice"),
        (b'{"o": [{"a": 1, "b": 0, "a": 1}]}', "the name 'a' twice"),
        (b'{"a": NaN}', "NaN, which JSON does not have"),
        (b'{"a": -Infinity}', "-Infinity, which JSON does not have"),
        (b'{"a": 1e999}', "the number 1e999, which is out of range"),
        (b'{"a": ' + b"9" * 5000 + b"}", "found Exceeds the limit"),
        (b"[" * 101 + b"]" * 101, "at most 100 levels"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "at most 100 levels"),
        (b"[" * 100_000, "at most 100 levels"),
    ],
)
def test_an_authentic_body_that_is_no_plain_json_is_invalid_input(body: bytes, found: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        orders().verify(signed(body), body, NOW)
    assert found in str(caught.value)


def test_a_body_that_is_no_utf8_is_refused() -> None:
    hook = Webhook("/plain", "t", secret="key", verify=HmacSignature("X-Sign"), parameter="order")
    with pytest.raises(InvalidInput, match="byte 0xff at 1; wanted UTF-8"):
        hook.verify(hub(b'"\xff"'), b'"\xff"', NOW)


def test_a_hundred_levels_are_not_too_deep() -> None:
    body = b"[" * 100 + b"1" + b"]" * 100
    assert orders().verify(signed(body), body, NOW).payload


def test_without_a_parameter_the_members_are_the_parameters() -> None:
    hook = orders(parameter=None)
    assert hook.verify(headers(), BODY, NOW).input == {"test": 2432232314}
    with pytest.raises(InvalidInput, match="found list; wanted an object of the parameters of order"):
        hook.verify(signed(b"[1]"), b"[1]", NOW)


def test_input_is_what_the_function_makes_of_the_body() -> None:
    hook = orders(input=lambda payload: {"number": payload["test"]})
    assert hook.verify(headers(), BODY, NOW).input == {"number": 2432232314}
    with pytest.raises(InvalidInput, match="found KeyError: 'test'"):
        hook.verify(signed(b"{}"), b"{}", NOW)
    with pytest.raises(InvalidInput, match="found NoneType"):
        orders(input=lambda _: None).verify(headers(), BODY, NOW)


# -- declaring


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"secret": None}, "has no secret"),
        ({"secret": ""}, "secret is empty"),
        ({"secret": "  "}, "secret is empty"),
        ({"secret": None, "secrets": [SECRET, ""]}, "secret is empty"),
        ({"secret": "whsec_"}, "at least 24 bytes; this one has 0"),
        ({"secret": "whsec_c2hvcnQ="}, "at least 24 bytes; this one has 5"),
        ({"secret": "whsec_!!!"}, "is base64"),
        ({"verify": "stripe"}, "verify='stripe' is unknown; wanted 'standard' or 'github'"),
        ({"tolerance": "0s"}, "more than 0 and at most 1 hour"),
        ({"tolerance": "2h"}, "more than 0 and at most 1 hour"),
        ({"tolerance": "soon"}, "tolerance: 'soon'"),
    ],
)
def test_a_webhook_that_could_not_verify_anything_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        orders(**options)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "path", ["orders", "/", "", "/a//b", "/a/", "/a/../b", "/.", "/a b", "/ä", "/a?b", "/" + "a" * 200]
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(DefinitionError, match="webhook path"):
        Webhook(path, "order", secret=SECRET)


def test_a_header_name_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(DefinitionError, match="'X Sign' is no name"):
        HmacSignature("X Sign")


def test_a_secret_is_never_shown() -> None:
    hook = orders(secrets=[OTHER])
    assert "whsec_" not in repr(hook) + str(hook) + repr(hook.secrets)
    with pytest.raises(DefinitionError) as caught:
        orders(secret="whsec_c2hvcnQ=")
    assert "c2hvcnQ" not in str(caught.value)


def test_a_secret_of_the_environment_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = orders(secret=Secret.env("ORDERS_SECRET"))
    for wrong, said in ((None, "ORDERS_SECRET is not set"), ("", "ORDERS_SECRET is empty"), ("abc", "this one has 2")):
        monkeypatch.delenv("ORDERS_SECRET", raising=False)
        if wrong is not None:
            monkeypatch.setenv("ORDERS_SECRET", wrong)
        with pytest.raises(InvalidSetting, match=said):
            hook.require_secrets()
    monkeypatch.setenv("ORDERS_SECRET", SECRET)
    hook.require_secrets()
    assert hook.verify(headers(), BODY, NOW).delivery_id == MESSAGE


def test_a_secret_missing_at_a_request_is_no_reason_to_let_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORDERS_SECRET", raising=False)
    with pytest.raises(InvalidSetting, match="ORDERS_SECRET"):
        orders(secret=Secret.env("ORDERS_SECRET")).verify(headers(), BODY, NOW)


def test_the_decorator_under_the_task_decorator_says_to_put_it_above() -> None:
    async def order(order: dict[str, int]) -> None: ...

    with pytest.raises(DefinitionError, match="put it above @task"):
        webhook("/orders", secret=SECRET)(order)


def test_hypothetically_json_names_are_compared_after_unescaping() -> None:
    body = json.dumps({"a": 1}).encode()[:-1] + b', "\\u0061": 2}'
    with pytest.raises(InvalidInput, match="twice"):
        orders().verify(signed(body), body, NOW)
