"""User state: history, seen items, tombstones. SQLite embedded, Redis shared."""
