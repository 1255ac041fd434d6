"""Replay with no effects."""
