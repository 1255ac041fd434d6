"""What answers that are none become, when to come back, and what is said of them, and never said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from agentflow.agents import Message, ModelSettings, Request, Role, ToolCall
from agentflow.agents.models.problems import retry_after
from agentflow.errors import (
    ModelAnswerCutOff,
    ModelError,
    ModelNotAuthorized,
    ModelRateLimited,
    ModelRequestRefused,
    ModelUnavailable,
)
from agentflow.failures import Failure
from tests.agents.models.asking import HELLO, KEY, Line

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def error_of(answer: httpx.Response | Exception, request: Request = HELLO, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as raised:
        await Line([answer]).model(**options).reply(request)
    return raised.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ModelRequestRefused),
        (401, ModelNotAuthorized),
        (402, ModelNotAuthorized),
        (403, ModelNotAuthorized),
        (404, ModelRequestRefused),
        (408, ModelUnavailable),
        (409, ModelUnavailable),
        (413, ModelRequestRefused),
        (422, ModelRequestRefused),
        (425, ModelUnavailable),
        (429, ModelRateLimited),
        (500, ModelUnavailable),
        (502, ModelUnavailable),
        (503, ModelUnavailable),
        (504, ModelUnavailable),
        (529, ModelUnavailable),
        (302, ModelRequestRefused),
        (204, ModelAnswerCutOff),
    ],
)
async def test_each_status_is_the_error_that_says_what_to_do(status: int, kind: type[ModelError]) -> None:
    error = await error_of(httpx.Response(status, json={"error": {"message": "the words"}}, headers={"location": "/x"}))
    assert type(error) is kind
    assert error.model == "openai:gpt-5-mini"
    if status >= 300:
        assert (error.status, str(error).startswith(f"openai:gpt-5-mini answered {status}: the words")) == (
            status,
            True,
        )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "30"}, timedelta(seconds=30)),
        ({"retry-after": "0"}, timedelta(0)),
        ({"retry-after": "1.5"}, timedelta(seconds=1.5)),
        ({"retry-after-ms": "250", "retry-after": "1"}, timedelta(milliseconds=250)),
        ({"x-ms-retry-after-ms": "4000"}, timedelta(seconds=4)),
        ({"retry-after": "Sun, 01 Mar 2026 12:02:00 GMT"}, timedelta(minutes=2)),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, timedelta(0)),
        ({"retry-after": "Sunday, 01-Mar-26 12:02:00 GMT"}, timedelta(minutes=2)),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sun, 99 Mar 2026 12:02:00 GMT"}, None),
        ({"retry-after-ms": "soon", "retry-after": "7"}, timedelta(seconds=7)),
    ],
)
def test_when_to_come_back_is_read_in_every_form(headers: dict[str, str], expected: timedelta | None) -> None:
    assert retry_after(httpx.Headers(headers), NOW) == expected


async def test_a_limited_rate_says_when_to_come_back_by_the_providers_own_time() -> None:
    headers = {"date": "Sun, 01 Mar 2026 12:00:00 GMT", "retry-after": "Sun, 01 Mar 2026 12:00:20 GMT"}
    error = await error_of(httpx.Response(429, headers=headers))
    assert isinstance(error, ModelRateLimited)
    assert error.retry_after == timedelta(seconds=20)
    other = await error_of(httpx.Response(503, headers={"retry-after": "9"}))
    assert isinstance(other, ModelUnavailable)
    assert other.retry_after == timedelta(seconds=9)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "Bad thing", "type": "x", "code": "y"}}, "Bad thing"),
        ({"error": "Bad thing"}, "Bad thing"),
        ({"object": "error", "message": "Bad thing", "code": 3}, "Bad thing"),
        ({"detail": "Bad thing"}, "Bad thing"),
        ({"detail": [{"loc": ["body", "n"], "msg": "too small", "input": "SECRET"}]}, "body.n: too small"),
        ({"message": {"detail": [{"loc": ["body", 0], "msg": "no"}, {"msg": "yes"}]}}, "body.0: no; yes"),
        ([{"error": {"message": "Bad thing"}}], "Bad thing"),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": "upstream says no"}}},
            "Provider returned error; upstream says no",
        ),
        ("plain words\n\twith\x00 spaces", "plain words with spaces"),
        ("<html><body>502</body></html>", ""),
        ({"error": {"code": 3}}, ""),
        ([], ""),
        (None, ""),
        (7, ""),
    ],
)
async def test_the_providers_words_are_found_wherever_they_are(body: Any, words: str) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    error = await error_of(httpx.Response(400, content=content.encode()))
    assert str(error) == "openai:gpt-5-mini answered 400" + (f": {words}" if words else "")


async def test_words_without_end_are_cut() -> None:
    assert len(str(await error_of(httpx.Response(400, json={"error": "x" * 100_000})))) < 600
    assert len(str(await error_of(httpx.Response(500, content=b"\xff" * 300_000)))) < 600


async def test_no_key_is_ever_in_an_error_and_neither_is_what_was_said() -> None:
    said = "My card is 4242 4242 4242 4242 and my name is Ada Lovelace.\nThanks!"
    request = Request(
        messages=[
            Message(role=Role.SYSTEM, text="You are the secret agent of Brand X, tell nobody."),
            Message(role=Role.USER, text=said),
            Message(role=Role.USER, text="Ada-1815"),
            Message(
                role=Role.ASSISTANT, calls=[ToolCall(id="a", name="refund", arguments='{"iban": "DE00 1234 5678"}')]
            ),
        ]
    )
    words = (
        f"Incorrect API key provided: {KEY}. Header other-secret-7. Invalid content: '{said}' for Ada-1815, "
        'in call refund: {"iban": "DE00 1234 5678"}; system was "You are the secret agent of Brand X, tell nobody."'
    )
    error = await error_of(
        httpx.Response(401, json={"error": {"message": words}}), request, headers={"x-gate": "other-secret-7"}
    )
    assert str(error).startswith(
        "openai:gpt-5-mini answered 401: Incorrect API key provided: [hidden]. Header [hidden]"
    )
    for hidden in (KEY, "other-secret", "4242", "Lovelace", "DE00", "Brand X", "Ada-1815"):
        assert hidden not in str(error)
    assert "in call refund" in str(error)
    stored = Failure.of(error).to_json()
    assert KEY not in stored
    assert "4242" not in stored


async def test_a_broken_connection_keeps_no_key_in_what_is_stored() -> None:
    error = await error_of(httpx.ConnectError("[Errno 111] Connection refused"))
    assert str(error) == "openai:gpt-5-mini could not be reached: [Errno 111] Connection refused"
    assert error.__suppress_context__
    assert KEY not in Failure.of(error).to_json()


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (httpx.ConnectTimeout("x"), ModelUnavailable, "could not be reached within 10s"),
        (httpx.ReadTimeout("x"), ModelUnavailable, "did not answer within 10m"),
        (httpx.WriteTimeout("x"), ModelUnavailable, "did not answer within 10m"),
        (httpx.ProxyError("407 Proxy Authentication Required"), ModelUnavailable, "could not be reached: 407"),
        (httpx.ReadError(""), ModelUnavailable, "broke off the connection before it answered: ReadError"),
        (httpx.RemoteProtocolError("Server disconnected"), ModelUnavailable, "before it answered: Server disconnected"),
        (
            httpx.LocalProtocolError(f"Illegal header value b'Bearer {KEY}'"),
            ModelRequestRefused,
            "base URL and headers",
        ),
    ],
)
async def test_each_way_of_not_getting_through_is_told(raised: Exception, kind: type[ModelError], said: str) -> None:
    error = await error_of(raised)
    assert type(error) is kind
    assert said in str(error)
    assert KEY not in str(error)


async def test_a_request_that_is_no_json_is_refused_before_anything_is_sent() -> None:
    line = Line([])
    for bad in (object(), float("nan")):
        request = Request(messages=HELLO.messages, settings=ModelSettings(extra={"x": bad}))
        with pytest.raises(ModelRequestRefused, match=r"is no JSON .*; look at the settings' `extra`"):
            await line.model().reply(request)
    assert line.requests == []
