"""How requests travel: one protocol, several clients, one conformance suite."""
