from __future__ import annotations

import socket
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from agentflow.errors import NotRecordable, PayloadTooLarge
from agentflow.payloads import encode, record


class Login(BaseModel):
    token: SecretStr


def test_what_cannot_be_stored_is_named_by_path_type_and_remedy():
    with (
        socket.socket() as held,
        pytest.raises(NotRecordable, match=r"/items/3/socket cannot be recorded; open or make") as caught,
    ):
        encode({"items": [1, 2, 3, {"socket": held}]})
    assert (caught.value.path, caught.value.type_name) == ("/items/3/socket", "socket.socket")


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (lambda: 1, "code is not data"),
        ((n for n in [1]), "list of what it yields"),
        (ValueError("x"), "raise it"),
        (Login(token=SecretStr("s")), "readable in the journal"),
        (10**5000, "digits"),
        (Login, "code is not data"),
        (object(), "open or make"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_refusal_says_what_to_do(value, remedy):
    with pytest.raises(NotRecordable, match=remedy):
        encode([value])


def test_loops_and_depth_are_refused():
    loop: dict[str, Any] = {"a": []}
    loop["a"].append(loop)
    with pytest.raises(NotRecordable, match="/a/0 cannot be recorded; it contains itself"):
        encode(loop)
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(NotRecordable, match="nested more than 200 deep"):
        encode(deep)


def test_sharing_that_would_explode_is_refused_in_bounded_time():
    wide: Any = [0]
    for _ in range(60):
        wide = [wide, wide]
    with pytest.raises(PayloadTooLarge):
        encode(wide)


@pytest.mark.parametrize(("make", "frame"), [("x".__mul__, 2), ("é".__mul__, 2), (lambda n: ["x" * n], 4)])
def test_the_limit_is_exact(make, frame):
    wide = len(make(1)[0].encode()) if isinstance(make(1), str) else 1
    fits = (1000 - frame) // wide
    assert len(encode(make(fits), limit=1000).encode()) == fits * wide + frame
    with pytest.raises(PayloadTooLarge) as caught:
        encode(make(fits + 1), limit=1000)
    assert caught.value.limit == 1000 < caught.value.size


def test_a_set_has_one_text_whatever_the_order_of_hashes():
    assert encode({"b", "a", "c"}) == '{"$set":["a","b","c"]}'


def test_the_task_gets_a_copy():
    given = {"a": [1]}
    seen = record(given, dict)[1]
    given["a"].append(2)
    assert seen == {"a": [1]}
