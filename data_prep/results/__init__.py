"""What a command writes of its results."""
