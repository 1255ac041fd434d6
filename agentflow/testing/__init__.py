"""What tests of tasks need: time that stands still, and a worker to run them on a temporary file."""

from agentflow.testing.clock import FakeClock
from agentflow.testing.harness import Harness

__all__ = ["FakeClock", "Harness"]
