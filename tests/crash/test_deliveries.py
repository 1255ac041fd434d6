"""`kill -9` around a delivery: its sender sends it again, and there is one run, whatever was stored before."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.crash.scenes import ON_BOTH
from tests.crash.serving import serve
from tests.support.processes import PATIENCE
from tests.support.signing import github_headers

if TYPE_CHECKING:
    from tests.crash.scenes import Scene
    from tests.support.processes import Child

pytestmark = ON_BOTH

BODY = b'{"n": 3}'
RUNS = "SELECT id FROM agentflow_run"
DELIVERIES = "SELECT run_id FROM agentflow_delivery"


def send_to(serving: Child) -> httpx.Response:
    return httpx.post(f"{serving.hear()}/hooks/orders", content=BODY, headers=github_headers(BODY), timeout=PATIENCE)


@pytest.mark.parametrize("place", ["before", "inside", "after"])
def test_killed_before_it_answers_the_senders_retry_finds_the_run_or_starts_it(place: str, scene: Scene) -> None:
    with scene.start(serve, kill=f"receive_delivery.{place}=kill") as serving:
        with pytest.raises(httpx.TransportError):
            send_to(serving)
        assert serving.ended() == -signal.SIGKILL
    stored = [row["id"] for row in scene.database.rows(RUNS)]
    assert len(stored) == len(scene.database.rows(DELIVERIES)) == int(place == "after")

    with scene.start(serve) as serving:
        answer = send_to(serving)

    [run] = [row["id"] for row in scene.database.rows(RUNS)]
    assert (answer.status_code, answer.json()["run"]) == (202, run)
    assert [row["run_id"] for row in scene.database.rows(DELIVERIES)] == [run]
    assert stored in ([], [run])
