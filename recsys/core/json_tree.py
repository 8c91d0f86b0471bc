"""Paths into JSON: ``knowledge.recall.sequential.ridge``."""

from collections.abc import Iterator

from pydantic import JsonValue

Leaf = bool | int | float | str | None
"""What is not made of parts."""


def leaves(tree: JsonValue, path: str = "") -> Iterator[tuple[str, Leaf]]:
    """Return every dotted path and what stands there; places of a list are numbered.

    >>> dict(leaves({"a": {"b": 1}, "c": [2, "d"]}))
    {'a.b': 1, 'c.0': 2, 'c.1': 'd'}
    """
    if not isinstance(tree, dict | list):
        yield path, tree
        return
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for name, below in inside:
        yield from leaves(below, f"{path}.{name}" if path else str(name))
