"""What we say of ourselves: logs, metrics, health."""
