"""What tests of tasks need: time that stands still."""

from agentflow.testing.clock import FakeClock

__all__ = ["FakeClock"]
