"""The door: what users are called on this side of it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from deployments.settings import PrivacySettings
from recsys.core.errors import FieldError
from recsys.core.pseudonyms import DOOR_KEY_VARIABLE, Pseudonyms, door_key_for
from recsys.data.events import Event
from recsys.rollout.traffic import TrafficDocument


class Door:
    """Gives users the names that state, log, caches and exposures know them by.

    Args:
        pseudonyms: makes those names; None: everybody keeps their own.
    """

    def __init__(self, pseudonyms: Pseudonyms | None = None) -> None:
        self._pseudonyms = pseudonyms

    def name(self, user_id: str) -> str:
        """Return what a user is called inside."""
        return user_id if self._pseudonyms is None else self._pseudonyms.of(user_id)

    def names(self, user_id: str) -> tuple[str, ...]:
        """Return all that a user is called inside, under earlier keys too; the current name first."""
        return (user_id,) if self._pseudonyms is None else self._pseudonyms.all_of(user_id)

    def events(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return events with the names that their users have inside."""
        if self._pseudonyms is None:
            return events
        return [replace(event, user_id=self._pseudonyms.of(event.user_id)) for event in events]

    def document(self, document: TrafficDocument) -> TrafficDocument:
        """Return a traffic document whose allow-list names users as they are called inside."""
        if self._pseudonyms is None or not document.overrides:
            return document
        overrides: Mapping[str, str] = document.overrides
        return document.model_copy(
            update={"overrides": {self.name(user_id): arm for user_id, arm in overrides.items()}}
        )


OPEN_DOOR = Door()
"""Everybody keeps their own name."""


def open_door(settings: PrivacySettings, event_log: Path | str) -> Door:
    """Return the door that the settings ask for.

    Args:
        settings: whether users get other names, and from which key.
        event_log: the key is beside this folder unless something else is said.

    Raises:
        FieldError: nothing says where the key is, for the log is not a folder.
        DataFormatError: the file holds no key.
        OSError: it can neither be read nor made.
    """
    if not settings.pseudonymise:
        return OPEN_DOOR
    if settings.key is not None:
        return Door(Pseudonyms.of_file(settings.key))
    if not isinstance(event_log, Path) and DOOR_KEY_VARIABLE not in os.environ:
        raise FieldError(
            "privacy.key", "nothing", f"a file, or {DOOR_KEY_VARIABLE}: {event_log} is no folder"
        )
    return Door(Pseudonyms.of_file(door_key_for(Path(event_log))))
