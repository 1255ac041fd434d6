"""Tools declared by hand, against a server that says what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from agentflow import Secret
from agentflow.agents.http import api_key, basic, bearer, http_tool
from agentflow.agents.tools.approving import ApprovalPolicy
from agentflow.agents.tools.effects import ToolEffect
from agentflow.agents.tools.injecting import ToolContext
from agentflow.egress import Egress
from agentflow.errors import (
    AnswerLost,
    ArgumentsRefused,
    DefinitionError,
    HostUnreachable,
    InvalidSetting,
    ServerUnavailable,
    ToolError,
)

URL = "https://api.example.com/orders/{order}"
TOKEN = Secret("s3cret-token")


@dataclass
class Shop:
    """A server that keeps what it was asked and answers as it is told."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    content: bytes = b'{"ok": true}'

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def egress(self) -> Egress:
        return Egress(ports=(self.port,), allow_private=("127.0.0.1/32",), timeout="60s")

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lengths = [line.split(":")[1] for line in head.lower().splitlines() if line.startswith("content-length")]
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(int(lengths[0])) if lengths else b"")
        if self.status:
            lines = [f"{name}: {value}" for name, value in self.headers.items()]
            top = "\r\n".join([f"HTTP/1.1 {self.status}", f"content-length: {len(self.content)}", *lines, "", ""])
            writer.write(top.encode() + self.content)
            await writer.drain()
        writer.close()

    @property
    def target(self) -> str:
        return self.heads[-1].split(" ")[1]


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    it = Shop()
    async with await asyncio.start_server(it, "127.0.0.1", 0) as server:
        it.port = server.sockets[0].getsockname()[1]
        yield it


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with open_shop() as it:
        yield it


def of(shop: Shop, path: str = "/orders/{order}", **options: Any):
    options = {"name": "order", "description": "Look an order up.", "egress": shop.egress} | options
    return http_tool(url=shop.url + path, **options)


async def call(tool, **arguments: Any) -> Any:
    context = ToolContext(
        run_id="r", agent="a", call_id="c", tool=tool.name, context=None, idempotency_key="run-1:order#1"
    )
    return await tool.body.call(tool.check(json.dumps(arguments)), context)


async def test_arguments_go_into_the_path_and_the_query_and_nowhere_else(shop: Shop):
    tool = of(shop, parameters={"limit": int, "tags": list[str]})
    assert tool.schema["required"] == ["order", "limit", "tags"]
    assert await call(tool, order="../a b?x=1#y", limit=3, tags=["a&b", "c"]) == {"ok": True}
    assert shop.target == "/orders/..%2Fa%20b%3Fx%3D1%23y?limit=3&tags=a%26b&tags=c"


@pytest.mark.parametrize("order", ["", ".", "..", " ", "a\nb", "a\0b"])
async def test_an_argument_that_would_change_the_path_is_told_to_the_model(shop: Shop, order: str):
    with pytest.raises(ToolError, match="cannot be a part of a URL's path"):
        await call(of(shop), order=order)
    assert shop.heads == []


async def test_a_post_sends_the_rest_as_json(shop: Shop):
    tool = of(
        shop,
        method="post",
        parameters={"amount": float, "currency": Literal["EUR", "USD"], "note": {"type": "string", "default": ""}},
        query=("currency",),
    )
    await call(tool, order="A-1", amount=12.5, currency="EUR")
    assert shop.heads[0].startswith("POST /orders/A-1?currency=EUR ")
    assert json.loads(shop.bodies[0]) == {"amount": 12.5, "note": ""}
    assert "content-type: application/json" in shop.heads[0].lower()
    with pytest.raises(ArgumentsRefused):
        tool.check('{"order": "A-1", "amount": "much", "currency": "EUR"}')


async def test_a_form_is_sent_as_one(shop: Shop):
    await call(of(shop, "/pay", method="POST", body="form", parameters={"a": str, "b": list[int]}), a="x y&z", b=[1, 2])
    assert shop.bodies == [b"a=x+y%26z&b=1&b=2"]


@pytest.mark.parametrize(
    ("method", "effect"),
    [
        ("GET", "read"),
        ("HEAD", "read"),
        ("PUT", "idempotent"),
        ("DELETE", "idempotent"),
        ("POST", "irreversible"),
        ("PATCH", "irreversible"),
    ],
)
def test_the_method_says_what_a_call_does(method: str, effect: str):
    assert http_tool(name="t", url=URL, description="d", method=method).effect == effect
    assert http_tool(name="t", url=URL, description="d", method=method, effect="read").effect == "read"


def test_what_is_undone_is_compensable():
    async def give_back(order: str) -> None: ...

    assert http_tool(name="t", url=URL, description="d", method="POST", undo=give_back).effect == "compensable"


# -- credentials


@pytest.mark.parametrize(
    ("auth", "sent"),
    [
        (bearer(TOKEN), "authorization: bearer s3cret-token"),
        (basic("me", TOKEN), "authorization: basic bwu6cznjcmv0lxrva2vu"),
        (api_key(TOKEN, header="X-Api-Key"), "x-api-key: s3cret-token"),
        (api_key(TOKEN, query="key"), "/orders/1?key=s3cret-token"),
    ],
)
async def test_a_credential_is_sent_and_shown_nowhere(shop: Shop, auth, sent: str):
    encoded = "bWU6czNjcmV0LXRva2Vu" if auth.scheme == "basic" else ""
    shop.content = json.dumps({"you sent": f"s3cret-token {encoded}"}).encode()
    tool = of(shop, auth=auth, needs_approval=True)
    result = await call(tool, order="1")
    assert sent in shop.heads[0].lower()
    assert "s3cret" not in json.dumps(result)
    shop.status = "403 Forbidden"
    with pytest.raises(ToolError) as refused:
        await call(tool, order="1")
    question = tool.question({"order": "1"}, await tool.gated({"order": "1"}))
    shown = [str(refused.value), repr(tool), repr(tool.body), str(question), json.dumps(tool.spec.schema)]
    assert not any("s3cret" in one or "czNjcmV0" in one for one in shown)


async def test_a_secret_of_the_environment_is_read_when_it_is_needed(shop: Shop, monkeypatch):
    tool = of(shop, headers={"X-Token": Secret.env("SHOP_TOKEN"), "X-Shop": "main"})
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    with pytest.raises(InvalidSetting, match="SHOP_TOKEN"):
        await call(tool, order="1")
    monkeypatch.setenv("SHOP_TOKEN", "abc")
    await call(tool, order="1")
    assert "x-token: abc\r\nx-shop: main" in shop.heads[0].lower()


async def test_the_operation_s_key_is_sent_with_what_changes_something(shop: Shop):
    await call(of(shop), order="1")
    await call(of(shop, method="PUT"), order="1")
    await call(of(shop, method="PUT", idempotency_header="X-Request-Id"), order="1")
    await call(of(shop, method="PUT", idempotency_header=None), order="1")
    named = [[line for line in head.splitlines() if "run-1:order#1" in line] for head in shop.heads]
    assert named == [[], ["idempotency-key: run-1:order#1"], ["x-request-id: run-1:order#1"], []]


# -- answers


@pytest.mark.parametrize(
    ("kind", "content", "result"),
    [
        ("application/json; charset=utf-8", b'[1, 2.5, "\xc3\xa4"]', [1, 2.5, "ä"]),
        ("application/problem+json", b"{}", {}),
        ("text/plain; charset=latin-1", b"\xe4", "ä"),
        ("text/html", b"<p>hi</p>", "<p>hi</p>"),
        ("application/json", b"", {"status": 200}),
    ],
)
async def test_json_is_json_and_text_is_text(shop: Shop, kind: str, content: bytes, result: Any):
    shop.headers, shop.content = {"content-type": kind}, content
    assert await call(of(shop), order="1") == result


@pytest.mark.parametrize(
    ("status", "headers", "content", "words"),
    [
        (
            "404 Not Found",
            {},
            b"no such order",
            r"GET http://127\.0\.0\.1:\d+/orders/1 answered 404 Not Found: no such",
        ),
        ("422 Unprocessable Entity", {}, b"x" * 5000, r"x{2000}… \(5000 characters\)$"),
        ("302 Found", {"location": "http://evil.example/"}, b"", "to 'http://evil.example/', and that is not followed"),
        ("200 OK", {"content-type": "image/png"}, b"\x89PNG", "4 bytes of image/png: neither JSON nor text"),
        ("200 OK", {"content-type": "application/json"}, b"{oops", "calls JSON what is none"),
        ("200 OK", {"content-type": "application/json"}, b"[" * 99_000, "JSON"),
    ],
)
async def test_what_the_model_can_do_something_about_is_told_to_it(shop: Shop, status, headers, content, words):
    shop.status, shop.headers, shop.content = status, headers, content
    with pytest.raises(ToolError, match=words):
        await call(of(shop), order="1")


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_too_many_requests_is_tried_again_when_the_server_says(shop: Shop, method: str):
    shop.status, shop.headers = "429 Too Many Requests", {"retry-after": "7"}
    tool = of(shop, method=method)
    with pytest.raises(ServerUnavailable) as error:
        await call(tool, order="1")
    assert error.value.retry_after is not None
    assert error.value.retry_after.total_seconds() == 7
    assert tool.policy.retry.covers(error.value)


@pytest.mark.parametrize(("method", "is_tried_again"), [("GET", True), ("PUT", True), ("POST", False)])
async def test_a_server_that_failed_is_asked_again_only_where_that_repeats_nothing(shop, method, is_tried_again):
    shop.status = "503 Service Unavailable"
    tool = of(shop, method=method)
    with pytest.raises((ServerUnavailable, AnswerLost)) as error:
        await call(tool, order="1")
    assert tool.policy.retry.covers(error.value) is is_tried_again


@pytest.mark.parametrize(("method", "is_tried_again"), [("GET", True), ("PUT", True), ("POST", False)])
async def test_an_answer_that_was_lost_is_asked_for_again_only_where_that_repeats_nothing(shop, method, is_tried_again):
    shop.status = ""
    tool = of(shop, method=method)
    with pytest.raises(AnswerLost) as error:
        await call(tool, order="1")
    assert tool.policy.retry.covers(error.value) is is_tried_again


async def test_a_call_that_was_never_sent_is_tried_again_whatever_it_does(shop: Shop):
    async with open_shop() as gone:
        tool = of(gone, method="POST")
    with pytest.raises(HostUnreachable) as error:
        await call(tool, order="1")
    assert tool.policy.retry.covers(error.value)


async def test_where_the_policy_lets_no_call_go_the_model_is_told_and_nothing_is_sent(shop: Shop):
    async def inside(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    egress = Egress(hosts=("api.example.com",), ports=(shop.port,), resolver=inside)
    tool = http_tool(name="order", url=f"http://api.example.com:{shop.port}/{{order}}", description="d", egress=egress)
    with pytest.raises(ToolError, match=r"127\.0\.0\.1 is loopback"):
        await call(tool, order="1")
    assert shop.heads == []


# -- gates


async def test_the_approver_sees_the_method_the_url_and_the_body(shop: Shop):
    tool = of(
        shop,
        method="POST",
        parameters={"amount": int, "currency": str},
        query=("currency",),
        needs_approval=lambda args: args["amount"] > 50,
    )
    arguments = {"order": "A/1", "amount": 90, "currency": "EUR"}
    gate = await tool.gated(arguments)
    assert gate
    assert not await tool.gated(arguments | {"amount": 10})
    question = tool.question(arguments, gate)
    assert question["title"] == f"POST {shop.url}/orders/A%2F1"
    assert question["body"].splitlines() == [
        f"    POST {shop.url}/orders/A%2F1?currency=EUR",
        "    ",
        "    {",
        '      "amount": 90',
        "    }",
    ]


def test_a_policy_s_own_words_stay():
    tool = http_tool(
        name="t", url=URL, description="d", method="POST", needs_approval=ApprovalPolicy(title="Pay?", risk="high")
    )
    assert tool.approval is not None
    assert (tool.approval.title, tool.approval.risk, tool.effect) == ("Pay?", "high", ToolEffect.IRREVERSIBLE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "ftp://x.example.com/"}, 'wanted "https://host/path"'),
        ({"url": "https://{host}/x"}, "the model does not choose hosts"),
        ({"url": "https://{shop}.example.com/x"}, "the model does not choose hosts"),
        ({"url": "https://api.example.com/x?a={a}"}, "name it in query= instead"),
        ({"url": "https://api.example.com/{a b}"}, "names no argument"),
        ({"url": "https://api.example.com/x#y"}, "no fragment"),
        ({"url": "http://localhost:8000/x"}, "is a name of this network"),
        ({"url": "http://redis/x"}, "is a name of this network"),
        ({"url": "http://127.0.0.1:8000/x"}, r"allow_private="),
        ({"url": "http://169.254.169.254/x"}, "cloud metadata"),
        ({"url": "http://2130706433/x"}, "no address in four decimal parts"),
        ({"url": "https://u:p@api.example.com/x"}, "user or password"),
        ({"method": "FETCH"}, "wanted one of GET"),
        ({"method": "GET", "body": "json"}, "a GET has no body"),
        ({"body": "xml"}, 'wanted "json"'),
        ({"effect": "maybe"}, "wanted one of 'read'"),
        ({"parameters": {"a b": str}}, "is no name for an argument"),
        ({"parameters": {"a": 7}}, "no type that has a schema"),
        ({"parameters": {"a": {"type": "nothing"}}}, "no usable schema"),
        ({"required": ("b",)}, "wanted names among"),
        ({"query": ("order",)}, "not in the path"),
        ({"headers": {"Host": "x"}}, "no header that can be set"),
        ({"headers": {"X-Api-Key": "abc"}}, "is a secret: give Secret.env"),
        ({"headers": {"Authorization": "Bearer abc"}}, "is a secret"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "wanted a line of ASCII text"),
        ({"description": " "}, "has no description"),
        ({"egress": Egress(hosts=("other.example.com",))}, "does not let it call its own url"),
        ({"colour": "red"}, "has no option colour"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_written(options: dict[str, Any], words: str):
    with pytest.raises(DefinitionError, match=words):
        http_tool(**{"name": "t", "url": URL, "description": "d"} | options)
