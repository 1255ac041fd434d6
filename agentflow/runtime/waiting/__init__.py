"""What a run can wait for."""
