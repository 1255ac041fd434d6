"""The JSON API under /api/v1: the same client as the pages, for programs."""
