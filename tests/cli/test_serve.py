"""Programs that run for long: what they say at their start, and how they end."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.cli.shell import OFFICE, Shell

SCHEDULED = """
    from agentflow import task

    @task.schedule("every 1s")
    @task
    async def ticks() -> None: ...
"""


@pytest.fixture
def shop(agentflow: Shell) -> Shell:
    agentflow.write("app.py", OFFICE)
    return agentflow


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_serve_says_where_the_inbox_is_and_what_it_found(shop: Shell) -> None:
    document = shop.start("serve", "--dev", "--port", "0", "--json").document()
    assert document["tasks"] == ["fails", "greet", "pay"]
    assert document["database"] == "sqlite:///agentflow.db"
    with urllib.request.urlopen(f"{document['address']}/inbox", timeout=60) as page:
        assert page.status == 200


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["worker", "app.py"], ["ui", "--port", "0"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_first_signal_ends_it_in_order_with_exit_code_0(
    command: list[str], number: signal.Signals, shop: Shell
) -> None:
    started = shop.start(*command, "--json")
    started.document()
    ended = started.stop(number)
    assert ended.code == 0
    assert f"{number.name}: letting runs come to rest" in ended.err
    assert "Traceback" not in ended.err


def test_open_live_streams_do_not_keep_it_from_stopping(shop: Shell) -> None:
    started = shop.start("serve", "--dev", "--port", "0", "--json")
    address = started.document()["address"]
    with urllib.request.urlopen(f"{address}/events", timeout=60) as stream:
        assert stream.readline()
        ended = started.stop()
    assert ended.code == 0
    assert "timeout graceful shutdown exceeded" not in ended.err


def test_a_second_signal_ends_it_at_once(shop: Shell) -> None:
    shop.write(
        "slow.py",
        """
        import time
        from agentflow import step, task

        @step
        def sleeps() -> None:
            time.sleep(60)

        @task
        async def slow() -> None:
            await sleeps()
        """,
    )
    started = shop.start("worker", "slow.py", "--json")
    started.document()
    run = shop("trigger", "slow.py:slow", "--json").document["id"]
    while shop("show", run, "--json").document["status"] != "running":
        pass
    started.process.send_signal(signal.SIGTERM)
    assert started.process.stderr is not None
    while "letting runs come to rest" not in (line := started.process.stderr.readline()):
        assert line
    assert started.stop(signal.SIGTERM).code == 130


def test_a_step_that_never_returns_does_not_keep_the_program_from_ending(shop: Shell) -> None:
    """Its run was failed by its time-out; the thread it left behind would be waited for at the end of Python."""
    shop.write(
        "hangs.py",
        """
        import threading
        from agentflow import step, task

        @step(timeout="100ms")
        def hangs() -> None:
            threading.Event().wait()

        @task
        async def hung() -> None:
            await hangs()
        """,
    )
    started = shop.start("worker", "hangs.py", "--json")
    started.document()
    run = shop("trigger", "hangs.py:hung", "--json").document["id"]
    while shop("show", run, "--json").document["status"] != "failed":
        pass
    ended = started.stop()
    assert ended.code == 0
    assert "1 sync step has not returned" in ended.err


def test_what_one_program_was_told_the_next_one_does(shop: Shell) -> None:
    run = shop("trigger", "app.py:greet", "--input", '{"name": "mia"}', "--json").document["id"]
    shop.start("worker", "app.py", "--json").document()
    assert shop("show", run, "--follow", "--json").document["output"] == ["hello Mia"]


def test_the_inbox_alone_executes_nothing(shop: Shell) -> None:
    shop("trigger", "app.py:greet", "--input", '{"name": "mia"}')
    document = shop.start("ui", "app.py", "--dev", "--port", "0", "--json").document()
    assert document["worker"] is False
    request = urllib.request.Request(
        f"{document['address']}/api/v1/runs",
        data=json.dumps({"task": "greet", "input": {"name": "tom"}}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 201
    assert [run["status"] for run in shop("runs", "--json").document] == ["queued", "queued"]


def test_the_scheduler_starts_runs_by_itself(agentflow: Shell) -> None:
    agentflow.write("app.py", SCHEDULED)
    document = agentflow.start("scheduler", "app.py", "--json").document()
    assert (document["schedules"], document["worker"], document["address"]) == (1, False, None)
    while not (runs := agentflow("runs", "--json").document):
        pass
    assert runs[0]["task"] == "ticks"
    assert runs[0]["origin"].startswith("schedule ")


@pytest.mark.parametrize("command", ["serve", "ui"])
def test_a_port_in_use_ends_it_with_5_before_anything_is_started(command: str, taken: int, shop: Shell) -> None:
    ended = shop(command, "app.py", "--port", str(taken))
    assert ended.complaint.startswith(f"agentflow: port {taken} of 127.0.0.1 is in use; stop what listens there")
    assert ended.code == 5
    assert not (shop.folder / "agentflow.db").exists()


def test_a_host_others_can_reach_is_not_for_dev(shop: Shell) -> None:
    ended = shop("serve", "--host", "0.0.0.0", "--port", "0", "--dev")
    assert "with --dev nobody has to sign in" in ended.complaint
    assert ended.code == 2
    assert not (shop.folder / "agentflow.db").exists()


def test_an_open_inbox_answers_to_the_names_it_was_given_and_to_no_other(shop: Shell) -> None:
    flags = ["--host", "0.0.0.0", "--port", "0", "--hostname", "inbox.test"]
    address = shop.start("serve", *flags, "--json").document()["address"]
    for name, status in (("inbox.test", 200), ("evil.test", 421)):
        request = urllib.request.Request(f"{address}/health", headers={"host": name})
        try:
            found = urllib.request.urlopen(request, timeout=60).status
        except urllib.error.HTTPError as error:
            found = error.code
            error.close()
        assert (name, found) == (name, status)


def test_a_database_that_is_not_ours_ends_it_with_5(shop: Shell) -> None:
    shop.write("agentflow.db", "my diary, " * 1000)
    ended = shop("serve", "--port", "0")
    assert ended.code == 5
    assert "agentflow.db" in ended.err
    assert "Traceback" not in ended.err


def test_the_database_comes_from_the_option_then_the_environment(shop: Shell) -> None:
    shop("trigger", "app.py:greet", "--input", '{"name": "x"}', AGENTFLOW_DATABASE_URL="sqlite:///environment.db")
    assert (shop.folder / "environment.db").exists()
    given = ["--database", "sqlite:///option.db"]
    shop(
        "trigger", "app.py:greet", "--input", '{"name": "x"}', *given, AGENTFLOW_DATABASE_URL="sqlite:///environment.db"
    )
    assert (shop.folder / "option.db").exists()
    assert not (shop.folder / "agentflow.db").exists()


LETTER = """
    from agentflow import step, task, wait_for_approval

    @step
    async def draft() -> str:
        return "dear"

    @step
    async def translate() -> str:
        return "liebe"

    @task
    async def letter() -> str:
        text = await draft()
        await wait_for_approval(text, title="Letter")
        return text
"""


def test_a_run_the_code_no_longer_fits_is_said_to_need_attention_and_resumes_with_the_right_code(
    agentflow: Shell,
) -> None:
    agentflow.write("app.py", LETTER)
    first = agentflow.start("worker", "app.py", "--json")
    first.document()
    run = agentflow("trigger", "app.py:letter", "--json").document["id"]
    while not (asked := agentflow("inbox", "--json").document):
        pass
    first.stop()
    agentflow.write("app.py", LETTER.replace("await draft()", "await translate()"))
    agentflow("approve", asked[0]["id"])
    second = agentflow.start("worker", "app.py", "--json")
    second.document()
    followed = agentflow("show", run, "--follow", "--json")
    assert followed.document["status"] == "needs_attention"
    assert "draft#1" in json.dumps(followed.document["journal"][-1])
    assert "translate#1" in json.dumps(followed.document["journal"][-1])
    assert followed.code == 1
    second.stop()
    agentflow.write("app.py", LETTER)
    assert agentflow("resume", run, "--json").document["status"] == "queued"
    agentflow.start("worker", "app.py", "--json").document()
    assert agentflow("show", run, "--follow", "--json").document["output"] == "dear"
