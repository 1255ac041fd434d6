from __future__ import annotations

import json
import json.encoder
import math
import socket
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from agentflow.errors import NotRecordable, UndecodablePayload
from agentflow.payloads import canonical, digest, encode, from_json, preview, readable, to_json
from agentflow.payloads import encoding as payload_encoding


class Colour(StrEnum):
    RED = "red"


class Animal(BaseModel):
    name: str = Field(alias="theName")


class Dog(Animal):
    tricks: list[str] = []


class Order(BaseModel):
    id: int
    total: Decimal
    due: date
    colour: Colour = Colour.RED
    pet: Animal | None = None


class Login(BaseModel):
    user: str
    token: SecretStr


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


ORDER = Order(id=1, total=Decimal("1.10"), due=date(2026, 1, 2), pet=Dog(theName="Rex", tricks=["sit"]))


def test_people_see_plain_json_by_alias_and_by_what_is_really_there():
    assert to_json(ORDER) == {
        "id": 1,
        "total": "1.10",
        "due": "2026-01-02",
        "colour": "red",
        "pet": {"theName": "Rex", "tricks": ["sit"]},
    }


def test_a_form_comes_back_as_what_it_was():
    plain = to_json(Order(id=1, total=Decimal("1.10"), due=date(2026, 1, 2)))
    assert from_json(plain, Order) == Order(id=1, total=Decimal("1.10"), due=date(2026, 1, 2))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert from_json(to_json(moment), datetime) == moment
    assert from_json(to_json(timedelta(hours=1)), timedelta) == timedelta(hours=1)


def test_a_form_is_read_strictly_and_every_field_that_is_wrong_is_named():
    with pytest.raises(UndecodablePayload, match=r"/id: found '1' \(str\); wanted integer; /due: found"):
        from_json({"id": "1", "total": "1", "due": 5}, Order)
    with pytest.raises(UndecodablePayload, match="no JSON"):
        from_json(math.nan, float)


def test_tags_in_foreign_json_mean_nothing():
    foreign = {"$object": "Order", "fields": {}, "$datetime": "2026-01-01"}
    assert from_json(foreign) == foreign
    assert readable(encode(foreign)) == foreign


def test_infinities_and_secrets_are_kept_from_plain_json():
    assert to_json([math.inf, -math.inf]) == ["Infinity", "-Infinity"]
    assert to_json(math.nan) == "NaN"
    with pytest.raises(NotRecordable, match=r"/token .* secret"):
        to_json(Login(user="mia", token=SecretStr("hush")))
    with pytest.raises(NotRecordable, match="Base64Bytes"):
        to_json(b"\xff")


def test_a_preview_names_what_cannot_be_stored_and_hides_secrets():
    with socket.socket() as held:
        assert preview({"db": held, "draft": ORDER.pet, 3: {2, 1}}) == {
            "db": {"$unrecordable": "socket.socket"},
            "draft": {"name": "Rex", "tricks": ["sit"]},
            "3": [1, 2],
        }
    assert "hush" not in json.dumps(preview([Login(user="mia", token=SecretStr("hush"))]))
    assert preview(Rude()) == {"$unrecordable": f"{__name__}.Rude"}
    assert preview([ValueError, len, math.nan, 10**5000][2]) == "NaN"


def test_a_preview_is_bounded_and_still_tells_long_texts_apart():
    loop: list[Any] = []
    loop += [loop] * 300
    assert len(json.dumps(preview(loop))) < 2_000_000
    assert len(preview(list(range(10_000)))) == 201
    one, other = preview("x" * 50_000 + "1"), preview("x" * 50_000 + "2")
    assert one["length"] == 50_001
    assert one["digest"] != other["digest"]


def test_a_stored_value_is_readable_without_its_class():
    assert readable(encode(ORDER))["total"] == "1.10"
    assert readable(encode({1: b"a", (1, 2): Colour.RED})) == {"1": "YQ==", "[1, 2]": "red"}
    assert readable("nope") == {"$unreadable": "nope"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1.0, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (-1.5e-9, "-1.5e-9"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (333333333.33333329, "333333333.3333333"),
        (-0.0, "0"),
        (2**70, "1180591620717411303424"),
        ('€$\x0f\nA\'B"\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\"/"'),
        ({"\ufb33": 1, "😀": 2, "é": 3}, '{"é":3,"😀":2,"\ufb33":1}'),
        ("\ud800", '"\\ud800"'),
    ],
)
def test_canonical_texts_are_those_of_rfc_8785(value, text):
    assert canonical(value) == text
    assert digest(canonical(value)).startswith("sha256:")


@pytest.mark.parametrize("value", [math.nan, {1: 2}, {3}, [b"x"]])
def test_what_is_no_json_has_no_canonical_text(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)


@pytest.mark.parametrize("quoted", [encode_basestring, encode_basestring_ascii])
@pytest.mark.parametrize("value", ["é\ud800", {"a": [1, 2.5, None, True, "é"], "b": {}}, [], {"é": [[]]}, 10**30])
def test_texts_are_the_same_where_there_is_no_encoder_in_c(
    monkeypatch: pytest.MonkeyPatch, quoted: Any, value: Any
) -> None:
    in_c = payload_encoding._writer(quoted)(value)
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    plain = payload_encoding._writer(quoted)

    assert plain(value) == in_c
    with pytest.raises(ValueError, match="not JSON compliant"):
        plain(math.nan)
