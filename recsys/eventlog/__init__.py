"""The durable, append-only log of events."""
