"""Several inboxes behind one address: any of them takes the form that another one gave."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request

import pytest

from agentflow.settings import INBOX_SECRET_VARIABLE
from tests.cli.shell import OFFICE, Shell

SECRET = "a secret of this test, long enough for nobody to guess"


def answered(run: str, first: str, second: str) -> int:
    """The status of a form that pauses a run, got from one inbox and sent to another."""
    with urllib.request.urlopen(f"{first}/runs/{run}/pause", timeout=60) as page:
        cookie = page.headers["set-cookie"].partition(";")[0]
        fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', page.read().decode()))
    assert "csrf" in fields
    body = urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(f"{second}/runs/{run}/pause", data=body, headers={"cookie": cookie})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_with_one_secret_any_inbox_takes_the_form_of_another(agentflow: Shell) -> None:
    agentflow.write("app.py", OFFICE)
    alone = agentflow.start("ui", "--dev", "--port", "0", "--json").document()["address"]
    agentflow.environment |= {INBOX_SECRET_VARIABLE: SECRET}
    first, second = (agentflow.start("ui", "--dev", "--port", "0", "--json").document()["address"] for _ in range(2))
    ids = [agentflow("trigger", "app.py:greet", "--input", '{"name": "x"}', "--json").document["id"] for _ in range(2)]
    assert answered(ids[0], first, alone) == 403
    assert answered(ids[0], first, second) == 200
    assert answered(ids[1], second, first) == 200
    assert {run["status"] for run in agentflow("runs", "--json").document} == {"paused"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_secret_that_could_be_guessed_is_refused_and_not_shown(agentflow: Shell) -> None:
    agentflow.environment |= {INBOX_SECRET_VARIABLE: "abc12345"}
    ended = agentflow("ui", "--dev", "--port", "0")
    assert ended.code == 2
    assert f"{INBOX_SECRET_VARIABLE} has 8 characters; wanted 32 or more" in ended.err
    assert "abc12345" not in ended.err
