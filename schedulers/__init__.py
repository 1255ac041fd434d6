"""Schedules: when a rule comes round, and exactly one run for each time it does."""

from schedulers.occurrences import upcoming

__all__ = ["upcoming"]
