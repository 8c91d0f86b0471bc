"""Verbs of the ``marquee`` command that measure."""
