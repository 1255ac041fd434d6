"""Tasks that events start: who listens, and what became of each event that fits."""
