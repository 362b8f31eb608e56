"""The six stages as pure functions."""
