"""What a program that runs for long says about itself: log lines on stderr."""

from __future__ import annotations

import logging
import sys

from agentflow.runtime.logs import ReplayFilter

QUIET = ("uvicorn", "uvicorn.error", "alembic", "apscheduler", "httpx", "litestar")


def speak(*, quiet: bool) -> None:
    """Send log lines to stderr: everything from INFO on, or only warnings if asked to be quiet."""
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", datefmt="%H:%M:%S"))
    console.addFilter(ReplayFilter())  # what a run logged before it was interrupted has been said
    logging.basicConfig(level=logging.WARNING if quiet else logging.INFO, handlers=[console], force=True)
    for name in QUIET:  # what they say at INFO is said better by this program itself
        logging.getLogger(name).setLevel(logging.WARNING)
