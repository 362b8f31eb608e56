"""The ledger: every row we keep, and all the SQL."""
