from pathlib import Path

import numpy as np

from recsys.data.log import InteractionLog
from recsys.privacy.names import names_of
from recsys.privacy.places import SumsPlace
from recsys.recall.counted import counted
from recsys.recall.sequential import SequentialConfig
from recsys.training.kept_sums import keep_sums, open_sums

CONFIG = SequentialConfig(min_events=1)
NOW_S = 100.0


def test_a_person_is_subtracted_from_the_sums_of_recall(tmp_path: Path) -> None:
    log = InteractionLog(
        np.array([0, 2, 4]),
        np.array([0, 1, 1, 2], dtype=np.int32),
        np.array([1.0, 2.0, 1.0, 2.0]),
        np.zeros(4, dtype=np.int16),
        ("ada", "bob"),
        (),
        3,
    )
    registry = str(tmp_path / "registry")
    keep_sums(open_sums(registry), counted(log, ["x", "y", "z"], CONFIG), CONFIG, bundle="b", now_s=1.0)
    place = SumsPlace(registry, clock=lambda: NOW_S)
    ada = names_of("ada", door=None, exposures=None)
    assert list(place.traces(ada).values()) == [1]
    assert place.erase({ada: NOW_S}) == {"lives": 1}
    assert place.traces(ada) == {}
    assert list(place.traces(names_of("bob", door=None, exposures=None)).values()) == [1]
