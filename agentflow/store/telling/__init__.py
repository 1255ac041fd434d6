"""Subscriptions: where each stands in the journal, and what is on its way to it."""
