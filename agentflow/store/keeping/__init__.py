"""Keeping a database: checking, pruning, backing up, restoring and moving it."""
