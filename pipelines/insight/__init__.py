"""What the conversation says: metrics, events, coaching, the report."""
