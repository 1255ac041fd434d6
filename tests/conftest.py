"""What every test has: no settings from outside, and in CI no test that silently lacks a browser or a server."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.clusters import NO_SERVER

if TYPE_CHECKING:
    from collections.abc import Generator

pytest_plugins = ["tests.support.aimock", "tests.support.browser"]

# A busy machine is no defect of the code under test; the time limit of the whole test stays.
settings.register_profile("agentflow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("agentflow"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "agentflow")

KEPT_PREFIXES = ("AGENTFLOW_TEST_", "AGENTFLOW_CHROMIUM")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own AGENTFLOW_DATABASE_URL must never become the database of a test."""
    for name in list(os.environ):
        if name.startswith("AGENTFLOW_") and not name.startswith(KEPT_PREFIXES):
            monkeypatch.delenv(name)


def pytest_configure() -> None:
    """Programs in the background are often started deaf to Ctrl-C, and would start theirs so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for Chromium is a browser test, marked so or not, and closes its pages before its servers."""
    for item in items:
        if isinstance(item, pytest.Function) and "chromium" in item.fixturenames:
            item.add_marker(pytest.mark.browser)
            browsing = [name for name in item.fixturenames if _needs_browser(item, name)]
            item.fixturenames[:] = [*(name for name in item.fixturenames if name not in browsing), *browsing]


def _needs_browser(item: pytest.Function, name: str) -> bool:
    """What is set up last is torn down first: a page that outlives its server reports errors no person would see."""
    known = item._fixtureinfo.name2fixturedefs  # pytest has no public way to ask what a fixture depends on
    needed = known[name][-1].argnames if name in known else ()
    return name == "browser" or any(_needs_browser(item, other) for other in needed if other != name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test fails that lacks a browser or a server: a green build means that both were there."""
    report = yield
    report.sections = [(title, _sendable(content)) for title, content in report.sections]
    is_skip = report.skipped and not hasattr(report, "wasxfail")
    if is_skip and os.environ.get("CI"):
        reason = str(call.excinfo.value) if call.excinfo else "skipped"
        lacks_aimock = "aimock_server" in getattr(item, "fixturenames", ())
        if item.get_closest_marker("browser") or lacks_aimock or reason.startswith(NO_SERVER):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: may not be skipped in CI: {reason}"
    return report


def _sendable(captured: str) -> str:
    """What a test printed or logged, so that the process that runs it can tell the one that reports."""
    return captured.encode(errors="backslashreplace").decode()
