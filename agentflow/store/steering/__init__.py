"""What people do to runs, and how a run ends by it."""
