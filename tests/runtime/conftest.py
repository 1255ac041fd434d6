"""Every test of what tasks may do runs as usual, and replayed at every operation on either database."""

from __future__ import annotations

import pytest

from tests.support.harnesses import OpenHarness, empty_database, harness, live, on_sqlite
from tests.support.tasks import Ledger

__all__ = ["OpenHarness", "empty_database", "harness", "live", "on_sqlite"]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()
