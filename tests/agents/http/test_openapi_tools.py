"""Tools of OpenAPI documents, 3.0 and 3.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from agentflow import Secret
from agentflow.agents import Tool, basic, openapi_tools
from agentflow.agents.http.endpoint import Endpoint
from agentflow.egress import Egress
from agentflow.errors import ArgumentsRefused, DefinitionError, InvalidDuration

SERVER = "https://api.example.com/v1"


def document(paths: dict[str, Any], *, version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    info = {"title": "Shop", "version": "1"}
    return {"openapi": version, "info": info, "servers": [{"url": SERVER}], "paths": paths} | more


def operation(name: str = "", **more: Any) -> dict[str, Any]:
    return ({"operationId": name} if name else {}) | {"summary": "Does it.", "responses": {}} | more


def only(paths: dict[str, Any], options: dict[str, Any] | None = None, **more: Any) -> Tool:
    (tool,) = openapi_tools(document(paths, **more), **options or {})
    return tool


def parameter(name: str, where: str = "query", **more: Any) -> dict[str, Any]:
    return {"name": name, "in": where, "schema": {"type": "string"}} | more


def request(tool: Tool, **arguments: Any) -> Any:
    endpoint: Endpoint = tool.body.function.endpoint
    return endpoint.request(tool.check(json.dumps(arguments)), key="k")


def url(tool: Tool, **arguments: Any) -> str:
    return request(tool, **arguments).url.removeprefix(SERVER)


SHOP = document(
    {
        "/orders/{order}": {
            "parameters": [parameter("order", "path", required=True, description="Its number.")],
            "get": operation("getOrder"),
            "delete": operation("deleteOrder"),
            "put": operation("putOrder", requestBody={"$ref": "#/components/requestBodies/Order"}),
        },
        "/orders": {
            "get": operation("listOrders", parameters=[{"$ref": "#/components/parameters/Limit"}]),
            "head": operation("countOrders"),
            "post": operation("createOrder", requestBody={"$ref": "#/components/requestBodies/Order"}),
            "patch": operation("changeOrders"),
        },
    },
    components={
        "parameters": {"Limit": parameter("limit", schema={"type": "integer", "default": 10})},
        "requestBodies": {
            "Order": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
            }
        },
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["id", "lines"],
                "properties": {
                    "id": {"type": "string", "readOnly": True},
                    "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                    "part_of": {"$ref": "#/components/schemas/Order"},
                },
            },
            "Line": {"type": "object", "properties": {"sku": {"type": "string"}, "count": {"type": "integer"}}},
        },
    },
)


def test_each_operation_is_a_tool_with_the_effect_of_its_method():
    effects = {tool.name: tool.effect.value for tool in openapi_tools(SHOP)}
    assert effects == {
        "getOrder": "read",
        "putOrder": "idempotent",
        "deleteOrder": "idempotent",
        "listOrders": "read",
        "countOrders": "read",
        "createOrder": "irreversible",
        "changeOrders": "irreversible",
    }


def test_some_are_chosen_and_their_effects_and_gates_named():
    tools = openapi_tools(
        SHOP,
        include=("*Order", "listOrders"),
        exclude=("deleteOrder",),
        prefix="shop_",
        effects={"createOrder": "idempotent"},
        needs_approval=True,
    )
    assert [(tool.name, tool.effect.value, tool.approval is not None) for tool in tools] == [
        ("shop_getOrder", "read", False),
        ("shop_putOrder", "idempotent", True),
        ("shop_listOrders", "read", False),
        ("shop_createOrder", "idempotent", True),
    ]
    named = openapi_tools(SHOP, needs_approval={"getOrder": True})
    assert [tool.name for tool in named if tool.approval] == ["getOrder"]


def test_references_are_followed_also_in_a_circle():
    tool = next(one for one in openapi_tools(SHOP) if one.name == "putOrder")
    assert tool.schema["required"] == ["order", "body"]
    assert tool.schema["properties"]["order"]["description"] == "Its number."
    arguments = {"order": "A/1", "body": {"lines": [{"sku": "x", "count": 2}], "part_of": {"lines": []}}}
    made = request(tool, **arguments)
    assert (made.method, made.url) == ("PUT", f"{SERVER}/orders/A%2F1")
    assert json.loads(made.content) == arguments["body"]
    assert made.headers == {"Content-Type": "application/json", "Idempotency-Key": "k"}
    with pytest.raises(ArgumentsRefused, match="count"):
        tool.check(json.dumps({"order": "1", "body": {"lines": [{"count": "two"}]}}))
    with pytest.raises(ArgumentsRefused, match="colour"):
        tool.check(json.dumps(arguments | {"colour": "red"}))


def test_what_is_read_only_is_not_sent():
    tool = next(one for one in openapi_tools(SHOP) if one.name == "createOrder")
    assert "id" not in tool.schema["$defs"]["Order"]["properties"]
    assert tool.schema["$defs"]["Order"]["required"] == ["lines"]


def test_a_default_is_filled_in():
    tool = next(one for one in openapi_tools(SHOP) if one.name == "listOrders")
    assert url(tool) == "/orders?limit=10"


@pytest.mark.parametrize(
    "reference", ["other.json#/x", "https://evil.example/x.json", "#/components/schemas/Gone", "#x"]
)
def test_a_reference_out_of_the_document_or_to_nothing_is_refused(reference: str):
    body = {"content": {"application/json": {"schema": {"$ref": reference}}}}
    with pytest.raises(DefinitionError, match=r"\$ref"):
        only({"/x": {"post": operation("x", requestBody=body)}})


def test_a_circle_that_leads_to_nothing_is_refused():
    circle = {"parameters": {"A": {"$ref": "#/components/parameters/B"}, "B": {"$ref": "#/components/parameters/A"}}}
    with pytest.raises(DefinitionError, match="refers to itself"):
        only({"/x": {"get": operation("x", parameters=[{"$ref": "#/components/parameters/A"}])}}, components=circle)


@pytest.mark.parametrize(
    ("more", "value", "sent"),
    [
        ({}, "a b&c", "?q=a%20b%26c"),
        ({"schema": {"type": "array"}}, ["a", "b,c"], "?q=a&q=b%2Cc"),
        ({"schema": {"type": "array"}, "explode": False}, ["a", 1], "?q=a%2C1"),
        ({"schema": {"type": "array"}, "style": "pipeDelimited", "explode": False}, ["a", "b"], "?q=a%7Cb"),
        ({"schema": {"type": "array"}, "style": "spaceDelimited", "explode": False}, ["a", "b"], "?q=a%20b"),
        ({"schema": {"type": "object"}}, {"x": 1, "y": True}, "?x=1&y=true"),
        ({"schema": {"type": "object"}, "explode": False}, {"x": 1, "y": 2}, "?q=x%2C1%2Cy%2C2"),
        ({"schema": None, "content": {"application/json": {"schema": {}}}}, {"x": [1]}, '?q={"x": [1]}'),
    ],
)
def test_styles_of_query_parameters(more: dict[str, Any], value: Any, sent: str):
    tool = only({"/x": {"get": operation("x", parameters=[parameter("q", **more)])}})
    assert url(tool) == "/x"
    found = url(tool, q=value).removeprefix("/x")
    assert found == sent or unquote(found) == sent


def test_parameters_of_the_header_and_the_path():
    tool = only(
        {
            "/x/{ids}": {
                "get": operation(
                    "x",
                    parameters=[
                        parameter("ids", "path", required=True, schema={"type": "array"}),
                        parameter("X-Trace", "header"),
                        parameter("Authorization", "header"),
                        parameter("session", "cookie"),
                    ],
                )
            }
        }
    )
    assert set(tool.schema["properties"]) == {"ids", "X-Trace"}
    made = request(tool, ids=["a", "b"], **{"X-Trace": "t"})
    assert (made.url, made.headers) == (f"{SERVER}/x/a%2Cb", {"X-Trace": "t"})


def test_a_header_cannot_be_made_two():
    tool = only({"/x": {"get": operation("x", parameters=[parameter("X-Trace", "header")])}})
    with pytest.raises(Exception, match="one line of ASCII text"):
        request(tool, **{"X-Trace": "a\r\nX-Admin: 1"})


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"parameters": [parameter("f", style="deepObject")]}, "has style 'deepObject'"),
        ({"parameters": [parameter("f", content={"application/xml": {}})]}, "only JSON is written"),
        ({"parameters": [parameter("s", "cookie", required=True)]}, "needs the cookie parameter"),
        (
            {"requestBody": {"required": True, "content": {"multipart/form-data": {}}}},
            "its body is multipart/form-data",
        ),
        ({"security": [{"key": []}]}, "asks for key"),
        ({"parameters": [parameter("gone", "path")]}, "not in its path"),
    ],
)
def test_what_cannot_be_sent_is_refused_and_can_be_left_out(entry: dict[str, Any], words: str):
    paths = {"/x": {"get": operation("x", **entry)}, "/y": {"get": operation("y")}}
    with pytest.raises(DefinitionError, match=words):
        openapi_tools(document(paths))
    assert [tool.name for tool in openapi_tools(document(paths), exclude=("x",))] == ["y"]


def test_a_path_with_a_part_that_nothing_describes_is_refused():
    with pytest.raises(DefinitionError, match="nothing says what shop in its path is"):
        only({"/{shop}/x": {"get": operation("x")}})


def test_version_3_0_has_its_own_dialect():
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "string", "nullable": True, "enum": ["x"], "example": "x"},
            "b": {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
            "c": {"$ref": "#/components/schemas/C", "description": "ignored"},
        },
    }
    tool = only(
        {"/x": {"post": operation("x", requestBody={"content": {"application/json": {"schema": schema}}})}},
        version="3.0.3",
        components={"schemas": {"C": {"type": "boolean"}}},
    )
    assert tool.schema["properties"]["body"]["properties"] == {
        "a": {"type": ["string", "null"], "enum": ["x", None]},
        "b": {"type": "integer", "exclusiveMinimum": 1},
        "c": {"$ref": "#/$defs/C"},
    }
    assert "required" not in tool.schema
    with pytest.raises(ArgumentsRefused):
        tool.check('{"body": {"b": 1}}')


def test_names_are_made_valid_and_told_apart_by_what_they_are():
    paths = {
        "/a": {"get": operation("get thing")},
        "/b": {"get": operation("get.thing")},
        "/long/{x}": {"get": {"summary": "s", "parameters": [parameter("x", "path", required=True)]}},
        "/c": {"get": operation("n" * 100)},
    }
    names = [tool.name for tool in openapi_tools(document(paths))]
    assert names[2] == "get_long_x"
    assert [name.startswith("get_thing_") for name in names[:2]] == [True, True]
    assert len(set(names)) == 4
    assert max(map(len, names)) <= 64
    turned = [tool.name for tool in openapi_tools(document(dict(reversed(paths.items()))))]
    assert sorted(turned) == sorted(names)


def test_arguments_of_one_name_in_two_places_are_both_to_be_had():
    entry = operation("x", parameters=[parameter("id", "path", required=True), parameter("id"), parameter("a[b]")])
    tool = only({"/x/{id}": {"get": entry}})
    path, query, odd = tool.schema["properties"]
    assert (path.startswith("id_"), query.startswith("id_"), odd) == (True, True, "a_b")
    assert url(tool, **{path: "1", query: "2", odd: "3"}) == "/x/1?id=2&a%5Bb%5D=3"


SCHEMES = {
    "token": {"type": "http", "scheme": "bearer"},
    "user": {"type": "http", "scheme": "basic"},
    "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "sid"},
    "oauth": {"type": "oauth2", "flows": {}},
}


@pytest.mark.parametrize(
    ("name", "given", "headers", "query"),
    [
        ("token", Secret("s"), {"Authorization": "Bearer s"}, ""),
        ("oauth", Secret("s"), {"Authorization": "Bearer s"}, ""),
        ("user", basic("me", Secret("s")), {"Authorization": "Basic bWU6cw=="}, ""),
        ("key", Secret("s"), {"X-Key": "s"}, ""),
        ("query", Secret("s"), {}, "?key=s"),
        ("cookie", Secret("s"), {"Cookie": "sid=s"}, ""),
    ],
)
def test_what_lets_a_call_in_is_taken_from_what_is_given(name: str, given: Any, headers: dict[str, str], query: str):
    paths = {"/x": {"get": operation("x", security=[{"other": []}, {name: []}])}}
    tool = only(paths, {"credentials": {name: given}}, components={"securitySchemes": SCHEMES})
    made = request(tool)
    assert (made.headers, made.url) == (headers, f"{SERVER}/x{query}")
    assert made.shown == f"GET {SERVER}/x"


def test_credentials_that_fit_nothing_are_refused():
    paths = {"/x": {"get": operation("x", security=[{"user": []}])}}
    for given, words in (({"other": Secret("s")}, "security schemes are"), ({"user": Secret("s")}, "wants a user too")):
        with pytest.raises(DefinitionError, match=words):
            only(paths, {"credentials": given}, components={"securitySchemes": SCHEMES})


def test_the_server_is_that_of_the_document_or_the_one_given():
    paths = {"/x": {"get": operation("x")}}
    named = {"url": "https://{region}.example.com", "variables": {"region": {"default": "eu"}}}
    assert request(only(paths, servers=[named])).url == "https://eu.example.com/x"
    assert request(only(paths, {"server": "https://test.example.com/"})).url == "https://test.example.com/x"
    tool = only(paths)
    assert (tool.body.function.egress.hosts, tool.body.function.egress.ports) == (("api.example.com",), (443,))
    for options, servers, words in (
        ({}, [{"url": "/v1"}], "names no whole address"),
        ({}, [{"url": "http://169.254.169.254"}], "cloud metadata"),
        ({"server": "ftp://x"}, [], "wanted a whole address"),
        ({"egress": Egress(hosts=("other.example.com",))}, [{"url": SERVER}], "does not let it call"),
    ):
        with pytest.raises(DefinitionError, match=words):
            only(paths, options, servers=servers)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"include": ("nothing",)}, "no operation 'nothing'; there is getOrder"),
        ({"include": "getOrder"}, "wanted a sequence"),
        ({"effects": {"nothing": "read"}}, "no operation nothing is made a tool"),
        ({"needs_approval": {"nothing": True}}, "no operation nothing is made a tool"),
        ({"effects": {"getOrder": "maybe"}}, "wanted one of 'read'"),
        ({"effect": "read"}, "are not one for all"),
        ({"colour": "red"}, "has no option colour"),
        ({"timeout": "soon"}, "no span of time"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], words: str):
    with pytest.raises((DefinitionError, InvalidDuration), match=words):
        openapi_tools(SHOP, **options)


def test_a_document_is_read_from_a_file_and_never_fetched(tmp_path: Path):
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(SHOP), encoding="utf-8")
    assert len(openapi_tools(file)) == len(openapi_tools(str(file))) == 7
    file.write_text("openapi: 3.1.0", encoding="utf-8")
    for source, words in (
        (file, "yaml.safe_load"),
        (tmp_path / "gone.json", "cannot be read"),
        ("https://evil.example/openapi.json", "is not fetched"),
        ({"swagger": "2.0"}, "3.0 or 3.1 is wanted"),
    ):
        with pytest.raises(DefinitionError, match=words):
            openapi_tools(source)
