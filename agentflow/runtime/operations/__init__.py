"""One operation: asked for, attempted, recorded."""
