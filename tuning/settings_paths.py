"""Dotted paths into the settings of a training: ``knowledge.recall.sequential.ridge``.

A path leads to one number, word or switch; places of a tuple are numbered: ``time_constants_items.0``.
"""

import difflib
from collections.abc import Mapping

import orjson
from pydantic import JsonValue, ValidationError

from recsys.core.errors import FieldError
from recsys.core.json_tree import Leaf, leaves
from recsys.training.two_stage import TrainingConfig

Setting = Leaf
"""What a path may lead to."""


def all_paths(config: TrainingConfig) -> dict[str, Setting]:
    """Return every path and what stands there."""
    return dict(leaves(_plain(config)))


def with_settings(config: TrainingConfig, values: Mapping[str, Setting]) -> TrainingConfig:
    """Return other settings, with these values at these paths.

    Raises:
        FieldError: a path leads nowhere (the nearest known one is named), or a value cannot stand there.
    """
    tree = _plain(config)
    known = dict(leaves(tree))
    for path, value in values.items():
        if path not in known:
            raise FieldError(path, "no setting of that name", _nearest(path, list(known)))
        _put(tree, path.split("."), value)
    try:
        return TrainingConfig.model_validate_json(orjson.dumps(tree))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or ", ".join(values)
        raise FieldError(where, repr(first["input"])[:80], first["msg"]) from error


def _nearest(path: str, known: list[str]) -> str:
    """Return what was perhaps meant: the path that is spelt most alike, or that ends alike."""
    close = difflib.get_close_matches(path, known, n=1, cutoff=0.0)
    last = path.rsplit(".", maxsplit=1)[-1]
    same_end = [each for each in known if each.rsplit(".", maxsplit=1)[-1] == last]
    return f"a path into the training settings, for example {(same_end or close)[0]}"


def _plain(config: TrainingConfig) -> JsonValue:
    plain: JsonValue = orjson.loads(config.model_dump_json())
    return plain


def _put(tree: JsonValue, names: list[str], value: Setting) -> None:
    for name in names[:-1]:
        tree = tree[int(name)] if isinstance(tree, list) else _inside(tree, name)
    if isinstance(tree, list):
        tree[int(names[-1])] = value
    elif isinstance(tree, dict):
        tree[names[-1]] = value


def _inside(tree: JsonValue, name: str) -> JsonValue:
    return tree[name] if isinstance(tree, dict) else None
