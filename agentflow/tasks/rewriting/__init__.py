"""How a task's awaits become checkpoints: find its source, change its syntax tree, compile it in its old place."""
