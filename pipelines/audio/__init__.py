"""Samples, speech regions, shards, peaks."""
