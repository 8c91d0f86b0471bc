"""Naming a few hundred candidates out of all items: sources, their index, their blend."""
