"""One verb per file; arguments only."""
