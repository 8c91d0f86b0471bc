"""Turning scored candidates into a list worth showing: variety, caps, costs, exploration."""
