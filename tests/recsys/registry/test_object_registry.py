"""What only the registry in a bucket does; all registries: tests/conformance/test_registries.py."""

from collections.abc import Callable
from pathlib import Path

import obstore
import pytest
from obstore.store import from_url

from recsys.core.errors import CorruptBundleError, FieldError, NotFoundError, UnavailableError
from recsys.registry.bundle import BundleWriter
from recsys.registry.objects import ObjectRegistry
from recsys.registry.open import open_registry


def titled(title: str) -> Callable[[BundleWriter], None]:
    return lambda writer: writer.json("titles", [title])


def publish(registry: ObjectRegistry, title: str) -> str:
    return registry.publish(titled(title), feature_schema="f1", created_s=0.0, meta={}).name


def kept(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize("address", ["ftp://models", "s3://", "http://host/models", "", "az://models"])
def test_an_address_of_no_registry_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="s3://bucket/prefix"):
        open_registry(address, cache=tmp_path)


def test_a_bundle_that_was_here_is_here_while_the_bucket_is_away(
    bucket_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = publish(ObjectRegistry(bucket_address, tmp_path / "a"), "Heat")
    ObjectRegistry(bucket_address, tmp_path / "b").get(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    away = ObjectRegistry(bucket_address, tmp_path / "b")
    assert (away.get(name) / "titles.json").is_file()
    for ask in (lambda: away.get("stable"), lambda: away.get("0" * 16), away.list, away.channels):
        with pytest.raises(UnavailableError, match=f"registry {bucket_address} is unavailable"):
            ask()
    with pytest.raises(UnavailableError):
        publish(away, "Alien")


def test_an_upload_that_was_cut_off_is_no_bundle_and_may_be_repeated(
    bucket_address: str, tmp_path: Path
) -> None:
    registry = ObjectRegistry(bucket_address, tmp_path / "a")
    name = publish(registry, "Heat")
    store = from_url(bucket_address, client_options={"allow_http": True})
    obstore.delete(store, f"bundles/{name}/manifest.json")  # what comes last
    elsewhere = ObjectRegistry(bucket_address, tmp_path / "b")
    assert elsewhere.list() == []
    with pytest.raises(NotFoundError):
        elsewhere.get(name)
    assert publish(registry, "Heat") == name
    assert (elsewhere.get(name) / "titles.json").is_file()


@pytest.mark.parametrize("content", [b'["Alien"]\n', None])
def test_what_is_not_as_its_manifest_says_is_not_kept(
    bucket_address: str, tmp_path: Path, content: bytes | None
) -> None:
    name = publish(ObjectRegistry(bucket_address, tmp_path / "a"), "Heat")
    store = from_url(bucket_address, client_options={"allow_http": True})
    if content is None:
        obstore.delete(store, f"bundles/{name}/titles.json")
    else:
        obstore.put(store, f"bundles/{name}/titles.json", content)
    elsewhere = ObjectRegistry(bucket_address, tmp_path / "b")
    with pytest.raises(CorruptBundleError, match=r"titles\.json"):
        elsewhere.get(name)
    assert kept(tmp_path / "b") == set()


def test_the_bundles_asked_for_longest_ago_go(bucket_address: str, tmp_path: Path) -> None:
    names = [publish(ObjectRegistry(bucket_address, tmp_path / "a"), title) for title in "xyz"]
    registry = ObjectRegistry(bucket_address, tmp_path / "b", n_kept=2)
    for name in (names[0], names[1], names[0], names[2]):
        registry.get(name)
    assert kept(tmp_path / "b") == {names[0], names[2]}


def test_what_is_downloaded_lies_where_the_environment_says(
    bucket_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = publish(ObjectRegistry(bucket_address, tmp_path / "a"), "Heat")
    monkeypatch.setenv("MARQUEE_CACHE", str(tmp_path / "cache"))
    assert open_registry(bucket_address).get(name).is_relative_to(tmp_path / "cache")
