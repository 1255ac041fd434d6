"""Queues: what lines up, what may start, and what was spent of a limit."""
