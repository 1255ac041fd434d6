"""The flush of a commit is where the disk says no, or the process dies inside the commit: strace makes it so."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.crash.programs import see_through, see_through_when_told
from tests.crash.test_every_append import KEYS, ONE_RUN, UNDISTURBED
from tests.support import ledger
from tests.support.processes import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.crash.scenes import Scene
    from tests.support.processes import Child

FLUSH = "fsync,fdatasync"  # SQLite calls one of them, as it was built; the ledger calls neither

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, to fail and kill flushes")


@contextmanager
def injected(scene: Scene, child: Child, fault: str, *, calls: str = FLUSH) -> Iterator[None]:
    """Have this befall one of the child's flushes (or other calls), and see that it did; strace ends with the child."""
    seen = scene.folder / "strace"
    command = ["strace", "-f", "-o", str(seen), "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
    with subprocess.Popen([*command, "-p", str(child.pid)], stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            pytest.skip(f"strace may not attach to processes here: {said}")
        try:
            yield
        finally:
            child.kill()
            tracer.wait(PATIENCE)
    assert "INJECTED" in seen.read_text() or "killed by SIGKILL" in seen.read_text()


@pytest.mark.parametrize("number", [1, 2, 3, 4, 9, 22])
def test_killed_inside_a_commit_it_is_there_whole_or_not_at_all(number: int, scene: Scene) -> None:
    with scene.start(see_through_when_told, *ONE_RUN) as first, injected(scene, first, f"signal=KILL:when={number}"):
        first.tell("go")
        assert first.ended() == -signal.SIGKILL
    scene.check(recovered=False)
    with scene.start(see_through, *ONE_RUN) as second:
        assert second.hear() == "completed"
    scene.check(results={"the run": UNDISTURBED})
    ran = ledger.starts(scene.ledger)
    assert set(ran) == set(KEYS)
    assert ran.total() in {len(KEYS), len(KEYS) + 1}, "at most the step that was being recorded ran twice"


@pytest.mark.parametrize("number", [6, 7, 12, 23])
def test_a_flush_that_fails_is_no_result_and_the_run_goes_on_with_what_is_true(number: int, scene: Scene) -> None:
    """The worker cannot know whether the commit is there: it reads the file anew, and goes on from what it finds."""
    with scene.start(see_through_when_told, *ONE_RUN) as child, injected(scene, child, f"error=EIO:when={number}"):
        child.tell("go")
        assert child.hear() == "completed"
        assert child.ended() == 0
    scene.check(results={"the run": UNDISTURBED})
    assert ledger.starts(scene.ledger).total() <= len(KEYS) + 1


def test_a_flush_that_fails_at_the_start_promises_nothing_and_asking_again_gives_one_run(
    new_scene: Callable[[str], Scene],
) -> None:
    """Whoever is told that the database could not be used may ask again with the same key."""
    codes = set()
    for number in range(1, 6):
        scene = new_scene(str(number))
        with scene.start(see_through_when_told, *ONE_RUN) as first, injected(scene, first, f"error=EIO:when={number}"):
            first.tell("go")
            codes.add(code := first.ended())
        promised = [line for line in ledger.read(scene.ledger) if line.phase == "TRIGGERED"]
        assert bool(promised) == (code == 0)
        with scene.start(see_through, *ONE_RUN) as second:
            assert second.hear() == "completed"
        assert scene.check(results={"the run": UNDISTURBED})["runs"] == 1
    assert 1 in codes, "no caller was ever told"
