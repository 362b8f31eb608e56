"""Measurements against named peers and physical bounds, each in one run on one machine."""
