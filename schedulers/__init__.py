"""Schedules: when a rule comes round, and exactly one run for each time it does."""
