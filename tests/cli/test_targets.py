"""Naming an application: by file or by module, and one clear line for each way it can go wrong."""

from __future__ import annotations

import pytest

from agentflow.cli.exits import Refused
from agentflow.cli.targets import Target, parse_target
from tests.cli.shell import Shell

HELLO = """
    from agentflow import task

    @task
    async def greet(name: str, times: int = 1) -> str:
        return f"hello {name}" * times

    @task(id="greetings.part")
    async def farewell(name: str) -> str:
        return f"goodbye {name}"
"""


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("app.py", Target("app.py")),
        ("app.py:greet", Target("app.py", "greet")),
        ("folder/app.py:greetings.part", Target("folder/app.py", "greetings.part")),
        ("package.module", Target("package.module")),
        ("package.module:greet", Target("package.module", "greet")),
        ("C:/folder/app.py", Target("C:/folder/app.py")),
        ("C:/folder/app.py:greet", Target("C:/folder/app.py", "greet")),
    ],
)
def test_a_target_names_a_module_and_perhaps_a_task(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["", ":greet", "my-app", "package..module", "app py"])
def test_what_names_no_module_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="wanted a file or a module, such as"):
        parse_target(text)


def test_tasks_are_listed_with_what_they_take(agentflow: Shell) -> None:
    agentflow.write("app.py", HELLO)
    listed = agentflow("tasks", "app.py", "--json").document
    assert [task["id"] for task in listed] == ["greet", "greetings.part"]
    assert listed[0]["input"]["required"] == ["name"]
    assert agentflow("tasks", "app.py").out.splitlines()[1].split("\t")[:2] == ["greet", "name, times?"]


@pytest.mark.parametrize("target", ["folder/app.py", "./folder/app.py"])
def test_a_file_finds_the_modules_beside_it(target: str, agentflow: Shell) -> None:
    agentflow.write("folder/beside.py", HELLO)
    agentflow.write("folder/app.py", "from beside import farewell\n")
    assert [task["id"] for task in agentflow("tasks", target, "--json").document] == ["greetings.part"]


@pytest.mark.parametrize("target", ["shop/orders/tasks.py", "shop.orders.tasks"])
def test_a_module_of_a_package_keeps_its_name_and_its_relative_imports(target: str, agentflow: Shell) -> None:
    agentflow.write("shop/__init__.py", "")
    agentflow.write("shop/orders/__init__.py", "")
    agentflow.write("shop/greetings.py", HELLO)
    agentflow.write("shop/orders/tasks.py", "from ..greetings import greet\nassert __name__ == 'shop.orders.tasks'\n")
    assert [task["id"] for task in agentflow("tasks", target, "--json").document] == ["greet"]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = 1\ny = x / 0\n", "app.py does not import: app.py:2: ZeroDivisionError: division by zero"),
        ("def f(:\n", "app.py does not import: app.py:1: SyntaxError: invalid syntax"),
        ("import nowhere_to_be_found\n", "app.py does not import: app.py:1: ModuleNotFoundError: No module named"),
        ("import json\n\njson.loads('{')\n", "app.py does not import: app.py:3: JSONDecodeError"),
        ("import beside\n", "app.py does not import: beside.py:1: NameError: name 'missing' is not defined"),
        (
            "import sys\nsys.exit(7)\n",
            "app.py does not import: app.py:2: SystemExit: 7; put what ends the program under",
        ),
        ("from agentflow import task\n@task\ndef plain(): ...\n", "app.py does not import: app.py:2: DefinitionError"),
    ],
    ids=["error", "syntax", "missing", "library", "neighbour", "exit", "definition"],
)
def test_a_module_that_does_not_import_is_one_line_with_file_and_line(
    source: str, complaint: str, agentflow: Shell
) -> None:
    agentflow.write("app.py", source)
    agentflow.write("beside.py", "missing\n")
    ended = agentflow("tasks", "app.py")
    assert ended.complaint.startswith(f"agentflow: {complaint}")
    assert ended.code == 2
    with_traceback = agentflow("tasks", "app.py", "--traceback").err
    assert "Traceback (most recent call last)" in with_traceback


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("nowhere.py", "found nothing at nowhere.py; wanted a Python file"),
        ("nowhere.at.all", "there is no module 'nowhere.at.all'"),
        ("./folder", "found a folder at ./folder; wanted a Python file"),
        ("folder/json.py", "folder/json.py cannot be imported as 'json': that name is taken by"),
    ],
)
def test_a_module_that_is_not_there_is_said_not_to_be(target: str, complaint: str, agentflow: Shell) -> None:
    agentflow.write("folder/json.py", "")
    ended = agentflow("tasks", target)
    assert ended.complaint.startswith(f"agentflow: {complaint}")
    assert ended.code == 2


def test_what_a_module_prints_while_it_is_imported_is_no_part_of_the_answer(agentflow: Shell) -> None:
    agentflow.write("app.py", "print('loading the model')\n")
    ended = agentflow("tasks", "app.py", "--json")
    assert ended.document == []
    assert "loading the model" in ended.err


def test_a_task_that_is_not_there_is_answered_with_the_nearest_name(agentflow: Shell) -> None:
    agentflow.write("app.py", HELLO)
    ended = agentflow("trigger", "app.py:gret")
    assert "there is no task 'gret'; did you mean 'greet'?" in ended.complaint
    assert ended.code == 3
    assert not (agentflow.folder / "agentflow.db").exists()


def test_a_task_left_out_is_answered_with_those_there_are(agentflow: Shell) -> None:
    agentflow.write("app.py", HELLO)
    ended = agentflow("trigger", "app.py")
    assert ended.complaint == (
        "agentflow: found app.py; wanted app.py:TASK, which names one of its tasks (greet, greetings.part)"
    )
    assert ended.code == 2


@pytest.mark.parametrize("command", ["serve", "worker", "scheduler"])
def test_an_application_without_tasks_is_not_served(command: str, agentflow: Shell) -> None:
    agentflow.write("app.py", "")
    ended = agentflow(command, "app.py")
    assert ended.complaint == "agentflow: app.py defines no task; put @task over an async function in it"
    assert ended.code == 2


def test_serve_without_a_target_wants_an_app_py(agentflow: Shell) -> None:
    ended = agentflow("serve")
    assert ended.complaint.startswith("agentflow: found no app.py in this folder; wanted a module with tasks")
    assert ended.code == 2
