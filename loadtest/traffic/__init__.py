"""Who asks what: the schedule says when, traffic says what."""
