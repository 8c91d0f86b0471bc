"""What was learned by many steps over a log, kept for whoever fits on the same log again."""

import numpy as np
from pydantic import BaseModel

from recsys.core.hashing import digest_bytes
from recsys.data.log import InteractionLog
from recsys.recall.bilinear import BilinearConfig, BilinearSource, fit_bilinear


class Shelf:
    """Bilinear sources by all that decides them: log, settings and seed.

    Trials of a sweep differ in other settings mostly, and the same settings come back on the same log: then
    they are learned once. Threads may share a shelf; it goes by copy to other processes.
    """

    def __init__(self) -> None:
        self._bilinear: dict[str, BilinearSource] = {}

    def __len__(self) -> int:
        """Return how many sources lie here."""
        return len(self._bilinear)

    def bilinear(self, log: InteractionLog, config: BilinearConfig, seed: int) -> BilinearSource:
        """Return the source, learned if it is not here yet."""
        key = _key(log, config, seed)
        if key not in self._bilinear:
            self._bilinear[key] = fit_bilinear(log, config, seed=seed)
        return self._bilinear[key]


def _key(log: InteractionLog, config: BaseModel, seed: int) -> str:
    sizes = np.array([log.n_items, seed], dtype=np.int64)
    parts = (log.item_rows, log.offsets, sizes)
    return digest_bytes(b"".join(part.tobytes() for part in parts) + config.model_dump_json().encode())
