"""Interactions, events and the catalogue: their schema, loaders, splits and checks."""
