"""Waits, and what answers them."""
