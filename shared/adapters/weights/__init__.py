"""Model weights that arrive inside packages."""
