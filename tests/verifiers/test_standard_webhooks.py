"""Standard Webhooks: what is taken for authentic, and what is signed so that others take it."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook as Published

from agentflow.errors import DefinitionError, InvalidSetting, NotAuthentic
from agentflow.verifiers import Secret, Sent, sign, standard
from tests.support.signing import (
    STANDARD_AT,
    STANDARD_BODY,
    STANDARD_ID,
    STANDARD_SECRET,
    STANDARD_SIGNATURE,
    Headers,
    changed,
    standard_headers,
    standard_lines,
)

NOW = datetime.fromtimestamp(STANDARD_AT, UTC)
OTHER = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()


def verified(headers: Headers, body: bytes = STANDARD_BODY, *, at: datetime = NOW, **options: object) -> str:
    given: dict[str, object] = {"secret": STANDARD_SECRET} | options
    return standard(given.pop("secret"), **given).verify(Sent(headers, body, at))  # type: ignore[arg-type]


def test_the_published_example_is_authentic() -> None:
    assert verified(standard_lines()) == STANDARD_ID


def test_the_published_example_is_what_is_signed() -> None:
    assert sign([STANDARD_SECRET], STANDARD_ID, NOW, STANDARD_BODY) == dict(standard_lines()[1:])


def test_what_the_published_library_signs_is_authentic_and_the_other_way_round() -> None:
    body = '{"text": "ü – \\u00fc"}'
    signature = Published(STANDARD_SECRET).sign("msg_1", NOW, body)
    assert verified(standard_lines("msg_1", signature=signature), body.encode()) == "msg_1"
    assert sign([STANDARD_SECRET], "msg_1", NOW, body.encode())["webhook-signature"] == signature


def test_what_is_signed_with_two_secrets_is_taken_by_whoever_has_one() -> None:
    headers = [*sign([STANDARD_SECRET, OTHER], "msg_1", NOW, b"{}").items()]
    assert verified(headers, b"{}") == verified(headers, b"{}", secret=OTHER) == "msg_1"


@pytest.mark.parametrize("id", ["", "msg.1", "msg 1", "m" * 256, "ü"])
def test_an_id_that_could_be_read_in_two_ways_is_not_signed(id: str) -> None:
    with pytest.raises(InvalidSetting, match="without a dot"):
        sign([STANDARD_SECRET], id, NOW, b"{}")


def test_nothing_is_signed_without_a_secret() -> None:
    with pytest.raises(InvalidSetting, match="there is no secret"):
        sign([], "msg_1", NOW, b"{}")


def test_a_body_that_is_no_text_is_signed_and_verified_byte_for_byte() -> None:
    body = b"\xff\x00\xfe"
    assert verified(standard_headers(body), body) == STANDARD_ID
    with pytest.raises(NotAuthentic):
        verified(standard_headers(body), b"\xff\x00\xff")


def test_headers_are_found_in_any_case() -> None:
    assert verified([(name.title(), value) for name, value in standard_lines()]) == STANDARD_ID


def test_any_of_several_secrets_may_have_signed() -> None:
    rotating = [OTHER, Secret(STANDARD_SECRET)]
    assert verified(standard_lines(), secret=rotating) == STANDARD_ID
    assert verified(standard_headers(STANDARD_BODY, secret=OTHER), secret=rotating) == STANDARD_ID
    with pytest.raises(NotAuthentic, match="no signature matches"):
        verified(standard_lines(), secret=OTHER)


def test_any_of_several_signatures_may_match_and_unknown_versions_are_passed_over() -> None:
    bad = "v1," + "A" * 43 + "="
    assert verified(standard_lines(signature=f"v1a,{STANDARD_SIGNATURE[3:]} {bad} {STANDARD_SIGNATURE}")) == STANDARD_ID


LINES = standard_lines()


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (changed(LINES, "webhook-id", "msg_other"), "no signature matches"),
        (changed(LINES, "webhook-timestamp", "1614265331"), "no signature matches"),
        (changed(LINES, "webhook-signature", STANDARD_SIGNATURE.replace("OE=", "OF=")), "no signature matches"),
        (changed(LINES, "webhook-signature", STANDARD_SIGNATURE.replace("v1", "v2")), "no signature matches"),
        (changed(LINES, "webhook-signature", "v1"), "no signature matches"),
        (changed(LINES, "webhook-signature", "v1,"), "no signature matches"),
        (changed(LINES, "webhook-signature", STANDARD_SIGNATURE[3:]), "no signature matches"),
        (changed(LINES, "webhook-signature", "v1,ü"), "no signature matches"),
        (changed(LINES, "webhook-signature", " ".join(["v1,AAAA"] * 21)), "at most 20"),
        (changed(LINES, "webhook-signature", ""), "the webhook-signature header is missing"),
        (LINES[:-1], "the webhook-signature header is missing"),
        ([line for line in LINES if line[0] != "webhook-id"], "the webhook-id header is missing"),
        ([line for line in LINES if line[0] != "webhook-timestamp"], "the webhook-timestamp header is missing"),
        ([*LINES, ("webhook-signature", STANDARD_SIGNATURE)], "the webhook-signature header occurs 2 times"),
        ([*LINES, ("Webhook-Id", STANDARD_ID)], "the webhook-id header occurs 2 times"),
        ([*LINES, ("WEBHOOK-TIMESTAMP", str(STANDARD_AT))], "the webhook-timestamp header occurs 2 times"),
        *[
            (changed(LINES, "webhook-timestamp", stamp), "no whole number")
            for stamp in ("01614265330", "1614265330.0", "+1614265330", "١٦١٤٢٦٥٣٣٠", "nan", "-1", "9" * 40)
        ],
    ],
)
def test_a_changed_missing_or_doubled_header_is_not_authentic(headers: Headers, reason: str) -> None:
    with pytest.raises(NotAuthentic, match=reason):
        verified(headers)


@pytest.mark.parametrize(
    "body", [b'{"test":2432232314}', STANDARD_BODY + b"\n", b"", STANDARD_BODY.decode().encode("utf-16")]
)
def test_a_body_with_one_other_byte_is_not_authentic(body: bytes) -> None:
    with pytest.raises(NotAuthentic, match="no signature matches"):
        verified(standard_lines(), body)


@pytest.mark.parametrize("id", ["msg.1614265330", "msg 1", "msg\u00e9", "m" * 256, "msg\n1"])
def test_an_id_that_could_shift_what_is_signed_is_refused_even_if_signed(id: str) -> None:
    with pytest.raises(NotAuthentic, match="the webhook-id header is not"):
        verified(standard_headers(STANDARD_BODY, id=id))


@pytest.mark.parametrize("away", [timedelta(minutes=5, seconds=1), -timedelta(minutes=5, seconds=1)])
def test_a_request_too_old_or_too_new_is_refused(away: timedelta) -> None:
    with pytest.raises(NotAuthentic, match="more than 5m away from now"):
        verified(standard_lines(), at=NOW + away)


@pytest.mark.parametrize("away", [timedelta(minutes=5), -timedelta(minutes=5)])
def test_a_request_within_the_tolerance_is_taken(away: timedelta) -> None:
    assert verified(standard_lines(), at=NOW + away) == STANDARD_ID
    with pytest.raises(NotAuthentic):
        verified(standard_lines(), at=NOW + away, tolerance="1m")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"secret": ()}, "has 0 secrets"),
        ({"secret": ""}, "secret is empty"),
        ({"secret": "  "}, "secret is empty"),
        ({"secret": [STANDARD_SECRET, ""]}, "secret is empty"),
        ({"secret": [STANDARD_SECRET] * 11}, "has 11 secrets; wanted 1, or up to 10"),
        ({"secret": "whsec_"}, "at least 24 bytes; this one has 0"),
        ({"secret": "whsec_c2hvcnQ="}, "at least 24 bytes; this one has 5"),
        ({"secret": "whsec_!!!"}, "is base64"),
        ({"secret": STANDARD_SECRET + "\n"}, "white space"),
        ({"tolerance": "0s"}, "more than 0 and at most 1 hour"),
        ({"tolerance": "2h"}, "more than 0 and at most 1 hour"),
        ({"tolerance": "soon"}, "tolerance: 'soon'"),
    ],
)
def test_what_could_not_verify_anything_is_refused_where_it_is_declared(options: dict[str, object], said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        verified([], **options)
    assert said in str(caught.value)


def test_a_secret_without_its_prefix_or_its_padding_is_the_same_secret() -> None:
    for secret in (STANDARD_SECRET.removeprefix("whsec_"), "whsec_" + base64.b64encode(b"k" * 25).decode().rstrip("=")):
        headers = [*sign([secret], "msg_1", NOW, b"{}").items()]
        assert verified(headers, b"{}", secret=secret) == "msg_1"
