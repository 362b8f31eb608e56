"""Adapters: one file (or folder) per vendor; vendor types and exceptions never leave it."""
