"""What tests of tasks need: time that stands still, a worker on a temporary file, scripts for everybody outside.

`Harness` runs tasks; `FakeClock` moves when told; `Reviewer`, `Answers`, `Scripted` and `ScriptedModel` answer as
written, and object to what is not; `Effects` keeps count of what was done to the world; `crash_test` shows that a task
comes to one end however its run is disturbed. `open_test_store` gives the store alone. In pytest they come as fixtures,
by the plugin beside them.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from agentflow.testing.answers import Answers
    from agentflow.testing.clock import FakeClock
    from agentflow.testing.crash import CrashReport, crash_test
    from agentflow.testing.effects import Effect, Effects
    from agentflow.testing.harness import Harness
    from agentflow.testing.model import ScriptedModel
    from agentflow.testing.reviewer import Reviewer
    from agentflow.testing.scripted import Scripted
    from agentflow.testing.stores import open_test_store

__all__ = [
    "Answers",
    "CrashReport",
    "Effect",
    "Effects",
    "FakeClock",
    "Harness",
    "Reviewer",
    "Scripted",
    "ScriptedModel",
    "crash_test",
    "open_test_store",
]

# Imported when first used: pytest loads the plugin of this package also for people who test something else.
_PLACES: dict[str, str] = {
    "Answers": "agentflow.testing.answers",
    "CrashReport": "agentflow.testing.crash",
    "Effect": "agentflow.testing.effects",
    "Effects": "agentflow.testing.effects",
    "FakeClock": "agentflow.testing.clock",
    "Harness": "agentflow.testing.harness",
    "Reviewer": "agentflow.testing.reviewer",
    "Scripted": "agentflow.testing.scripted",
    "ScriptedModel": "agentflow.testing.model",
    "crash_test": "agentflow.testing.crash",
    "open_test_store": "agentflow.testing.stores",
}


def __getattr__(name: str) -> typing.Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
