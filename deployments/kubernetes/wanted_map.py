"""What Helm's values want, in the ConfigMap that Helm makes of them."""

from typing import Final

from pydantic import ValidationError

from deployments.kubernetes.config_map import ConfigMap
from recsys.core.errors import DataFormatError, NotFoundError
from recsys.rollout.wanted import Wanted

KEY: Final = "wanted.json"
"""Of the wish in the ConfigMap."""


class WantedMap:
    """Reads it through the API, so that a change counts with the next look; a mounted one takes a minute."""

    def __init__(self, config_map: ConfigMap) -> None:
        self._config_map = config_map

    def read(self) -> Wanted:
        """Return what is wanted now.

        Raises:
            NotFoundError: there is no such ConfigMap, or no ``wanted.json`` in it.
            DataFormatError: it is nonsense; names the field.
            UnavailableError: the API server cannot be reached, or does not let us.
        """
        where = str(self._config_map.address)
        found = self._config_map.read()
        if found is None:
            raise NotFoundError("ConfigMap with wishes", where)
        text = (found.data or {}).get(KEY)
        if text is None:
            raise NotFoundError(f"key {KEY} in {where}", KEY, ", ".join(found.data or {}))
        try:
            return Wanted.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "content"
            raise DataFormatError(
                f"{where} {KEY}", "a bundle and a plan", f"{field}: {first['msg']}"
            ) from error
