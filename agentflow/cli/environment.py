"""Settings nobody reads: a mistyped variable must not be a silent default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from agentflow.settings import (
    DATABASE_VARIABLE,
    HEALTH_VARIABLE,
    INBOX_SECRET_VARIABLE,
    KEEP_VARIABLES,
    PRICES_VARIABLE,
    SUBSCRIBERS_PRIVATE_VARIABLE,
)

PREFIX: Final = "AGENTFLOW_"
READ: Final = frozenset(
    {
        DATABASE_VARIABLE,
        HEALTH_VARIABLE,
        INBOX_SECRET_VARIABLE,
        PRICES_VARIABLE,
        SUBSCRIBERS_PRIVATE_VARIABLE,
        *KEEP_VARIABLES.values(),
    }
)
FOR_TESTS: Final = ("AGENTFLOW_TEST_", "AGENTFLOW_CHROMIUM", "AGENTFLOW_FAILPOINTS")


def unread_variables(environment: Mapping[str, str] | None = None) -> list[str]:
    """One warning for each `AGENTFLOW_` variable that nothing reads, naming the nearest one that is read."""
    given = os.environ if environment is None else environment
    unread = sorted(name for name in given if name.startswith(PREFIX) and name not in READ)
    return [_warning(name) for name in unread if not name.startswith(FOR_TESTS)]


def _warning(name: str) -> str:
    own = [one.removeprefix(PREFIX) for one in READ]  # what they all begin with makes none of them near
    near = get_close_matches(name.removeprefix(PREFIX), own, n=1, cutoff=0.6)
    remedy = f"did you mean {PREFIX}{near[0]}?" if near else f"agentflow reads {', '.join(sorted(READ))}"
    return f"warning: nothing reads the environment variable {name}; {remedy}"
