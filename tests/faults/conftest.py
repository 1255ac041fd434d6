"""Fault cases use the harness of the runtime's tests and the scenes of the crash tests."""

from __future__ import annotations

from tests.crash.conftest import in_memory, kind, migrated, new_scene, scene
from tests.runtime.conftest import empty_database, harness, ledger, live, on_sqlite

__all__ = [
    "empty_database",
    "harness",
    "in_memory",
    "kind",
    "ledger",
    "live",
    "migrated",
    "new_scene",
    "on_sqlite",
    "scene",
]
