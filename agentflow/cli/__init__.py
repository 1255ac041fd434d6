"""The command line: `agentflow COMMAND`. It alone puts the worker, the inbox and the schedulers together."""

from __future__ import annotations

from agentflow.cli.application import main

__all__ = ["main"]
