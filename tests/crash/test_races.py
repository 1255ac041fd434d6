"""Several processes resolve one approval at one moment, a thousand times: one of them wins, the others are told."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.crash import racers
from tests.crash.scenes import ON_BOTH
from tests.support.checker import check
from tests.support.processes import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crash.scenes import Scene

pytestmark = ON_BOTH

TIMES = 1000


@pytest.mark.parametrize(
    "told", [racers.ANSWER_TIMEOUT_CANCEL, racers.TWO_PEOPLE], ids=["decision timeout and cancellation", "two people"]
)
def test_one_resolution_wins_and_the_losers_are_told_which(
    told: dict[str, dict[str, str]], in_memory: Callable[[str], Scene]
) -> None:
    scene = in_memory("race")
    approvals = racers.ask(scene.url, TIMES)
    among = (CONTEXT.Barrier(len(told)), list(told))
    with ExitStack() as running:
        racing = {way: running.enter_context(scene.start(racers.race, way, among, approvals)) for way in told}
        heard = {way: child.hear(within=280) for way, child in racing.items()}
        assert {child.ended() for child in racing.values()} == {0}
    statuses = {row["id"]: row["status"] for row in scene.database.rows("SELECT id, status FROM agentflow_approval")}
    winners: Counter[str] = Counter()
    for place, (approval, _) in enumerate(approvals):
        winner = next(way for way in told if racers.OUTCOMES[way] == statuses[approval])
        winners[winner] += 1
        assert {way: heard[way][place] for way in told} == told[winner], f"{approval} is {statuses[approval]}"
    assert winners.total() == TIMES
    assert min(winners[way] for way in told) > 0, f"this was no race: {winners}"
    assert check(scene.database, scene.ledger, recovered=False)["approvals"] == TIMES
