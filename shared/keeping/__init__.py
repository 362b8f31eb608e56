"""Keeping and deleting: the ledger decides, the object store follows. Done by the steward, the API and the operator."""
