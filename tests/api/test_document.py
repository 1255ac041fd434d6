"""The OpenAPI document: complete, closed, and with examples that are what they stand for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from litestar.routes import HTTPRoute

from agentflow.access import SCOPES
from agentflow.client import Client
from approvals_ui import create_app
from tests.api.site import document

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = document()
OPERATIONS = {
    one["operationId"]: (path, method, one) for path, item in DOCUMENT["paths"].items() for method, one in item.items()
}
PROBLEM = "application/problem+json"
PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def fits(value: Any, schema: dict[str, Any]) -> list[str]:
    whole = schema | {"components": DOCUMENT["components"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema within a schema."""
    if isinstance(schema, dict):
        yield schema
        for name, part in schema.items():
            if name not in ("examples", "example", "default", "enum"):
                yield from parts(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from parts(part)


def test_there_is_one_operation_for_each_id() -> None:
    every = [one["operationId"] for item in DOCUMENT["paths"].values() for one in item.values()]
    assert len(every) == len(set(every)) == len(OPERATIONS)
    assert len(every) > 60


def test_the_components_are_schemas_and_all_are_used() -> None:
    text = json.dumps(DOCUMENT)
    for name, schema in DOCUMENT["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert f'"#/components/schemas/{name}"' in text, f"nothing refers to {name}"


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_what_it_is(name: str) -> None:
    path, method, one = OPERATIONS[name]
    assert path.startswith("/api/v1/")
    assert one["summary"]
    assert len(one["description"]) > 20
    assert one["tags"]
    is_open = "callbacks" in one["tags"]
    assert one["security"] == [] if is_open else list(one["security"][0]) == ["bearerAuth"]
    assert set(one["security"][0]["bearerAuth"] if one["security"] else []) <= set(SCOPES)
    assert {f"{{{p['name']}}}" for p in one.get("parameters", []) if p["in"] == "path"} == {
        part for part in path.split("/") if part.startswith("{")
    }
    assert method in {"get", "post", "put", "patch", "delete"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_parameters_are_described_with_their_bounds_and_an_example_that_fits(name: str) -> None:
    for parameter in OPERATIONS[name][2].get("parameters", []):
        schema = parameter["schema"]
        assert parameter["description"]
        Draft202012Validator.check_schema(schema)
        bounded = {"enum", "pattern", "maxLength", "maximum", "maxItems", "format"}
        assert schema.get("type") == "boolean" or bounded & set(schema), f"{parameter['name']} has no bound"
        if "example" in parameter:
            assert not fits(parameter["example"], schema)


@pytest.mark.parametrize("name", [name for name, (_, _, one) in OPERATIONS.items() if "requestBody" in one])
def test_a_request_is_closed_and_has_examples_that_fit(name: str) -> None:
    content = OPERATIONS[name][2]["requestBody"]["content"]
    assert list(content) == ["application/json"]
    told = content["application/json"]
    assert told["examples"]
    for example in told["examples"].values():
        assert not fits(example["value"], told["schema"])
    taken = told["schema"]["$ref"].rpartition("/")[2]
    assert DOCUMENT["components"]["schemas"][taken]["additionalProperties"] is False


@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_have_examples_that_fit_and_errors_are_problem_documents(name: str) -> None:
    answers = OPERATIONS[name][2]["responses"]
    assert any(status.startswith("2") for status in answers)
    assert {"400", "406", "503"} <= set(answers)
    for status, answer in answers.items():
        assert answer["description"]
        for kind, content in answer.get("content", {}).items():
            assert (kind == PROBLEM) is (int(status) >= 400)
            examples = [one["value"] for one in content.get("examples", {}).values()] or [content["example"]]
            for example in examples:
                assert not fits(example, content["schema"])
                assert kind != PROBLEM or example["status"] == int(status)
        assert answer.get("content") or status == "204"
        assert status not in ("429", "503") or "Retry-After" in answer["headers"]


def test_what_has_a_form_says_so() -> None:
    unformed = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for field, part in schema.get("properties", {}).items()
        if (field.endswith("_at") or field == "id")
        and not any({"format", "pattern", "maxLength", "examples"} & set(one) for one in parts(part))
    ]
    assert not unformed


def test_whatever_is_served_under_the_prefix_is_documented() -> None:
    routes = create_app(Client(None), dev=True).routes  # type: ignore[arg-type]  nobody asks it
    served = {
        (route.path_format, method.lower())
        for route in routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/api/")
        for method in route.methods - {"OPTIONS"}
    }
    assert served == {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}


def test_the_page_lists_the_problems_that_the_document_tells_of() -> None:
    told: dict[str, set[str]] = {}
    for _, _, one in OPERATIONS.values():
        for status, answer in one["responses"].items():
            examples = answer.get("content", {}).get(PROBLEM, {}).get("examples", {})
            told.setdefault(status, set()).update(
                example["value"]["type"].rpartition(":")[2] for example in examples.values()
            )
    table = (
        PAGE.read_text(encoding="utf-8").partition("<!-- problems:begin -->")[2].partition("<!-- problems:end -->")[0]
    )
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ") and line[2].isdigit()]
    assert {row[1].strip(): set(re.findall("`([a-z-]+)`", row[3])) for row in rows} == {
        status: kinds for status, kinds in told.items() if kinds
    }
