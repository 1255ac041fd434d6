"""Agents are tried as tasks are: as usual, and replayed at every operation on either database."""

from __future__ import annotations

from tests.support.harnesses import empty_database, harness, live, on_sqlite

__all__ = ["empty_database", "harness", "live", "on_sqlite"]
