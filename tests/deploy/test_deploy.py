"""The files that start agentflow elsewhere say what this release understands: commands, options, variables, paths."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main
import yaml

from agentflow.cli.application import build
from agentflow.cli.environment import READ
from agentflow.cli.probes import LIVE, READY
from agentflow.cli.serving import LONGEST_END
from agentflow.cli.targets import load
from agentflow.durations import duration
from agentflow.settings import DATABASE_VARIABLE, HEALTH_VARIABLE, INBOX_SECRET_VARIABLE

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
MANIFEST = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SECRETS = (DEPLOY / "agentflow.env.example").read_text(encoding="utf-8")
OURS = ("worker", "inbox", "scheduler")
COMMANDS = {"worker": "worker", "inbox": "ui", "scheduler": "scheduler"}


def of_kind(kind: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one for one in MANIFEST if one["kind"] == kind}


def pod(name: str) -> Any:
    return of_kind("Deployment")[name]["spec"]["template"]["spec"]


def container(name: str) -> Any:
    [only] = pod(name)["containers"]
    return only


def set_by_dockerfile() -> dict[str, str]:
    block = re.search(r"^ENV ((?:.*\\\n)*.*)$", DOCKERFILE, re.MULTILINE)
    assert block is not None
    return dict(pair.split("=", 1) for pair in block[1].replace("\\\n", " ").split())


def lines_of(docs: str) -> list[list[str]]:
    """Each command after `agentflow` or `my-tasks` in a text's comments."""
    joined = re.sub(r"\\\n# +", "", docs)
    found = re.findall(
        r"(?:exec \w+ agentflow|my-tasks) +((?:ui|worker|scheduler|workers|tokens) ?[^\n]*?)(?:  +.*)?$",
        joined,
        re.MULTILINE,
    )
    return [shlex.split(one) for one in found]


INVOCATIONS: dict[str, list[str]] = {
    "Dockerfile": json.loads(re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1]),  # type: ignore[index]
    **{f"compose {name}": COMPOSE["services"][name]["command"] for name in OURS},
    **{f"kubernetes {name}": container(name)["args"] for name in OURS},
    **{f"Dockerfile {n}": words for n, words in enumerate(lines_of(DOCKERFILE))},
    **{f"compose.yaml {n}": words for n, words in enumerate(lines_of((DEPLOY / "compose.yaml").read_text("utf-8")))},
}


@pytest.mark.parametrize("place", INVOCATIONS)
def test_every_command_and_option_is_one_of_this_release(place: str) -> None:
    words = [str(word) for word in INVOCATIONS[place]]
    program = typer.main.get_command(build())
    assert isinstance(program, click.Group) or hasattr(program, "commands")
    name, *rest = words
    command = program.commands[name]  # type: ignore[attr-defined]
    while hasattr(command, "commands"):  # a group of commands
        name, *rest = rest
        command = command.commands[name]
    context = command.make_context(name, list(rest))  # raises for an option or a value that is none
    assert context.params.get("app") in {"tasks.py", None}


def test_the_comments_of_the_files_are_looked_at_too() -> None:
    assert {"Dockerfile 0", "Dockerfile 1", "Dockerfile 2", "compose.yaml 0"} <= set(INVOCATIONS)
    assert INVOCATIONS["Dockerfile 0"][:2] == ["ui", "tasks.py"]
    assert not [place for place, words in INVOCATIONS.items() if "--dev" in words], "elsewhere everybody signs in"


# -- variables


def variables() -> dict[str, set[str]]:
    named = {name: {one["name"] for one in container(name)["env"]} for name in OURS}
    named["secret"] = set(of_kind("Secret")["agentflow"]["stringData"])
    named["Dockerfile"] = set(set_by_dockerfile())
    named["env"] = set(re.findall(r"^(\w+)=", SECRETS, re.MULTILINE))
    return named


@pytest.mark.parametrize("place", variables())
def test_every_variable_of_ours_is_read_by_this_release(place: str) -> None:
    ours = {name for name in variables()[place] if name.startswith("AGENTFLOW_")}
    assert ours
    assert ours <= READ


def test_every_reference_to_a_secret_names_a_key_that_is_there() -> None:
    keys = set(of_kind("Secret")["agentflow"]["stringData"])
    text = json.dumps(MANIFEST)
    wanted = set(re.findall(r'"secretKeyRef": \{"name": "agentflow", "key": "(\w+)"\}', text))
    assert wanted == keys
    assert text.count("secretKeyRef") == text.count('"secretKeyRef": {"name": "agentflow", "key":')


def test_no_password_stands_in_the_compose_file_and_none_but_placeholders_elsewhere() -> None:
    assert "change-me" not in (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    every = [COMPOSE["services"][name] for name in (*OURS, "postgres")]
    assert [one["env_file"] for one in every] == ["agentflow.env"] * 4
    given = of_kind("Secret")["agentflow"]["stringData"]
    assert all("change-me" in value for name, value in given.items() if name != "POSTGRES_USER")
    assert len(given[INBOX_SECRET_VARIABLE]) >= 32
    assert given[DATABASE_VARIABLE] == dict(re.findall(r"^(\w+)=(.*)$", SECRETS, re.MULTILINE))[DATABASE_VARIABLE]


# -- probes and ends


@pytest.mark.parametrize("name", OURS)
def test_probes_ask_the_port_and_the_paths_that_are_answered(name: str) -> None:
    one = container(name)
    ports = {port["name"]: port["containerPort"] for port in one["ports"]}
    told = next(variable["value"] for variable in one["env"] if variable["name"] == HEALTH_VARIABLE)
    assert told == f"0.0.0.0:{ports['health']}", "the node asks from outside the pod"
    assert one["startupProbe"]["httpGet"] == one["livenessProbe"]["httpGet"] == {"path": LIVE, "port": "health"}
    assert one["readinessProbe"]["httpGet"] == {"path": READY, "port": "health"}


def test_the_images_health_check_asks_where_every_program_answers() -> None:
    asked = re.search(r"urlopen\('http://([\d.:]+)(/[\w/]+)'", DOCKERFILE)
    assert asked is not None
    assert (asked[1], asked[2]) == (set_by_dockerfile()[HEALTH_VARIABLE], LIVE)


def drains_for(words: list[str]) -> float:
    options = dict(pairwise(word for words_ in words for word in str(words_).split("=", 1)))
    total = LONGEST_END
    total += duration(options.get("--drain-timeout", "20s")) if words[0] == "worker" else duration("0s")
    return (total + duration(options.get("--linger", "0s"))).total_seconds()


@pytest.mark.parametrize("name", OURS)
def test_whoever_asks_a_program_to_end_waits_longer_than_it_takes(name: str) -> None:
    assert pod(name)["terminationGracePeriodSeconds"] > drains_for(container(name)["args"])
    service = COMPOSE["services"][name]
    assert duration(service["stop_grace_period"]).total_seconds() > drains_for(service["command"])


# -- the whole


def test_both_files_start_postgres_two_workers_the_inbox_and_the_scheduler() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"postgres", *OURS}
    assert services["worker"]["deploy"]["replicas"] == 2
    assert set(of_kind("Deployment")) == set(OURS)
    assert set(of_kind("StatefulSet")) == {"postgres"}
    assert of_kind("Deployment")["worker"]["spec"]["replicas"] == 2
    assert of_kind("PodDisruptionBudget")["worker"]["spec"]["selector"] == {"matchLabels": {"app": "worker"}}
    for name, command in COMMANDS.items():
        assert services[name]["command"][0] == container(name)["args"][0] == command


@pytest.mark.parametrize("name", OURS)
def test_nobody_runs_as_root(name: str) -> None:
    user = re.search(r"useradd --uid (\d+)", DOCKERFILE)
    assert user is not None
    assert "\nUSER agentflow\n" in DOCKERFILE
    assert COMPOSE["services"][name]["user"] == f"{user[1]}:{user[1]}"
    assert pod(name)["securityContext"]["runAsNonRoot"] is True
    assert pod(name)["securityContext"]["runAsUser"] == int(user[1])
    for sealed in (container(name)["securityContext"], of_postgres()["securityContext"]):
        assert sealed["allowPrivilegeEscalation"] is False
        assert sealed["capabilities"] == {"drop": ["ALL"]}
    assert COMPOSE["services"][name]["cap_drop"] == ["ALL"]


def of_postgres() -> Any:
    spec = of_kind("StatefulSet")["postgres"]["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    return spec["containers"][0]


def test_services_find_what_they_name() -> None:
    labels = {
        name: one["spec"]["template"]["metadata"]["labels"]
        for name, one in (of_kind("Deployment") | of_kind("StatefulSet")).items()
    }
    for name, service in of_kind("Service").items():
        assert service["spec"]["selector"] == labels[name]
    hostname = next(word for word in container("inbox")["args"] if word.startswith("--hostname="))
    assert hostname == f"--hostname={of_kind('Service')['inbox']['metadata']['name']}.agentflow.svc"
    assert "@postgres:5432/" in of_kind("Secret")["agentflow"]["stringData"][DATABASE_VARIABLE]


def test_the_compose_files_mounts_are_there_and_its_tasks_load() -> None:
    mounted = COMPOSE["services"]["worker"]["volumes"]
    assert mounted == ["./tasks.py:/app/tasks.py:ro"]
    application = load(str(DEPLOY / "tasks.py"))
    assert list(application.catalog.tasks) == ["report_hourly"]
    assert len(application.catalog.schedules) == 1
