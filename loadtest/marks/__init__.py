"""What must hold for a run to pass."""
