"""Real servers from wheels, for a machine that has none: Valkey, PostgreSQL with pgvector, SeaweedFS."""
