import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.core.errors import BundleError, CorruptBundleError, IncompatibleBundleError
from recsys.registry.bundle import BundleWriter
from recsys.registry.reader import open_bundle
from recsys.registry.writer import BundleRef, write_bundle

FILES = ("manifest.json", "ranking/model.ubj", "recall/factors.npy", "titles.json")


def fill(writer: BundleWriter) -> None:
    writer.array("recall/factors", np.arange(6, dtype=np.float32))
    writer.json("titles", ["Heat", "Alien"])
    writer.path("ranking/model.ubj").write_bytes(b"trees")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> BundleRef:
    root = tmp_path_factory.mktemp("pristine")
    return write_bundle(root, fill, feature_schema="f1", created_s=1_700_000_000.0, meta={"ndcg@10": 0.1e-8})


@pytest.fixture
def bundle(pristine: BundleRef, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine.path, tmp_path / pristine.name))


def assert_refused_when(path: Path, content: bytes, bundle: BundleRef) -> None:
    sound = path.read_bytes()
    try:
        path.write_bytes(content)
        with pytest.raises(BundleError) as refused:
            open_bundle(bundle.path, feature_schema=None)
    finally:
        path.write_bytes(sound)
    assert refused.value.args[:2] == (bundle.name, path.relative_to(bundle.path).as_posix())


@given(st.data())
def test_one_changed_byte_anywhere_is_refused_by_name(pristine: BundleRef, data: st.DataObject) -> None:
    path = pristine.path / data.draw(st.sampled_from(FILES))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    assert_refused_when(path, bytes(content), pristine)


@pytest.mark.parametrize("change", [0x01, 0x20])  # 0x20 turns capitals small and the other way round
def test_each_byte_of_the_manifest_counts(pristine: BundleRef, change: int) -> None:
    path = pristine.path / "manifest.json"
    sound = path.read_bytes()
    for position in range(len(sound)):
        content = bytearray(sound)
        content[position] ^= change
        assert_refused_when(path, bytes(content), pristine)


@given(st.sampled_from(FILES), st.integers(0, 20), st.binary(max_size=20))
@settings(max_examples=50)
def test_a_cut_or_lengthened_file_is_refused_by_name(
    pristine: BundleRef, name: str, n_cut: int, added: bytes
) -> None:
    path = pristine.path / name
    sound = path.read_bytes()
    content = sound[: len(sound) - n_cut] + added
    if content != sound:
        assert_refused_when(path, content, pristine)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(CorruptBundleError) as refused:
        open_bundle(bundle, feature_schema=None)
    assert refused.value.args == (bundle.name, name, "missing")


def test_a_file_too_many_is_refused_by_name(bundle: Path) -> None:
    (bundle / "ranking" / "notes.txt").write_text("hello")
    with pytest.raises(CorruptBundleError, match=r"ranking/notes\.txt: not listed in the manifest"):
        open_bundle(bundle, feature_schema=None)


def test_a_link_in_place_of_a_file_is_refused(bundle: Path) -> None:
    (bundle / "titles.json").rename(bundle.parent / "titles.json")
    (bundle / "titles.json").symlink_to(bundle.parent / "titles.json")
    with pytest.raises(CorruptBundleError, match=r"titles\.json: not a regular file"):
        open_bundle(bundle, feature_schema=None)


def test_the_feature_schema_that_came_and_the_one_expected_are_named(bundle: Path) -> None:
    with pytest.raises(IncompatibleBundleError, match="feature schema f1; this program computes f2"):
        open_bundle(bundle, feature_schema="f2")


def test_another_version_of_the_format_is_named(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, "format_version": 1}))
    with pytest.raises(IncompatibleBundleError, match="format version 1; this program reads version 2"):
        open_bundle(bundle, feature_schema=None)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b"[" * 100_000, b'{"format": NaN}'])
def test_something_else_in_place_of_the_manifest_is_refused(bundle: Path, content: bytes) -> None:
    (bundle / "manifest.json").write_bytes(content)
    with pytest.raises(CorruptBundleError, match=r"manifest\.json: not "):
        open_bundle(bundle, feature_schema=None)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptBundleError, match=r"bundle nowhere: manifest\.json: missing"):
        open_bundle(tmp_path / "nowhere", feature_schema=None)


def test_a_part_that_was_never_written_is_refused_by_name(bundle: Path) -> None:
    reader = open_bundle(bundle, feature_schema="f1")
    with pytest.raises(CorruptBundleError, match=r"ranking/other\.npy: missing"):
        reader.array("ranking/other")
    with pytest.raises(CorruptBundleError, match=r"\.\./secret\.json: missing"):
        reader.json("../secret")


def test_a_file_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    def fill_badly(writer: BundleWriter) -> None:
        writer.path("factors.npy").write_bytes(b"no array")
        writer.path("titles.json").write_bytes(b"no json")

    written = write_bundle(tmp_path, fill_badly, feature_schema="f1", created_s=0.0, meta={})
    reader = open_bundle(written.path, feature_schema=None)
    with pytest.raises(CorruptBundleError, match=r"factors\.npy: not an array"):
        reader.array("factors")
    with pytest.raises(CorruptBundleError, match=r"titles\.json: not JSON"):
        reader.json("titles")
