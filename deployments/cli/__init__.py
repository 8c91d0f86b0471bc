"""Verbs of the ``marquee`` command that serve."""
