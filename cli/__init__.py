"""The `vibeinsight` command and the embedded stack."""
