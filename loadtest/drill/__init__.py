"""Drills: a good canary and all sorts of bad ones, walked through by the real service under real load."""
