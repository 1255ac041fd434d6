"""The command as tests hold it: a folder to run it in, and an application served there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import Office, Shell


@pytest.fixture
def agentflow(tmp_path: Path) -> Iterator[Shell]:
    """`agentflow("runs", "--json")` runs the command; `agentflow.start("serve")` starts one that goes on."""
    shell = Shell(tmp_path)
    yield shell
    for started in shell.started:
        started.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A running application, shared by the tests of a module: each makes the runs it looks at."""
    office = Office(tmp_path_factory.mktemp("office"))
    try:
        office.open()
        yield office
    finally:
        for started in office.started:
            started.stop(signal.SIGKILL)
