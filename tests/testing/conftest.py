"""The fixtures of the kit's own plugin, as an installed agentflow brings them."""

from __future__ import annotations

from agentflow.testing.plugin import (
    agentflow_clock,
    agentflow_crash_test,
    agentflow_harness,
    agentflow_model,
    agentflow_reviewer,
    agentflow_scripted,
)

__all__ = [
    "agentflow_clock",
    "agentflow_crash_test",
    "agentflow_harness",
    "agentflow_model",
    "agentflow_reviewer",
    "agentflow_scripted",
]
