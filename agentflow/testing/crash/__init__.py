"""The crash test of a task: see `agentflow.testing.crash_test`."""

from agentflow.testing.crash.running import CrashReport, crash_test

__all__ = ["CrashReport", "crash_test"]
