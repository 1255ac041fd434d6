"""What a run did, taken back."""
