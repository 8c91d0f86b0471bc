"""Where the key of the pseudonyms is."""

from pathlib import Path

import pytest

from recsys.eventlog.exposure import KEY_VARIABLE, key_for


def test_the_key_lies_beside_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert key_for(Path("/a/exposures")) == Path("/a/exposures.key")


def test_the_environment_names_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "/secrets/key")
    assert key_for(Path("/a/exposures")) == Path("/secrets/key")
