"""Long-lived execution: claims, leases, turns, recovery."""

from agentflow.worker.worker import Worker

__all__ = ["Worker"]
