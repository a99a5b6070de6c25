"""What the service answers to its own workers alone."""
