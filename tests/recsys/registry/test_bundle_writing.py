import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import FieldError
from recsys.registry.bundle import BundleWriter
from recsys.registry.reader import open_bundle
from recsys.registry.writer import BundleRef, write_bundle

SLOW_WRITER = """
import sys
from pathlib import Path
import numpy as np
from recsys.registry.writer import write_bundle

def fill(writer):
    writer.array("first", np.arange(1_000))
    print("half", flush=True)
    sys.stdin.readline()
    writer.array("second", np.arange(1_000))

write_bundle(Path(sys.argv[1]), fill, feature_schema="f1", created_s=0.0, meta={})
"""

DYING_WRITER = """
import os, signal, sys
from pathlib import Path
import numpy as np
from recsys.registry.writer import write_bundle

def fill(writer):
    writer.array("recall/factors", np.arange(6.0))
    writer.json("titles", ["Heat"])

def die_at_sync(n):
    true_fsync, n_syncs = os.fsync, 0
    def fsync(descriptor):
        nonlocal n_syncs
        n_syncs += 1
        if n_syncs == n:
            os.kill(os.getpid(), signal.SIGKILL)
        true_fsync(descriptor)
    os.fsync = fsync

for n in range(1, 100):
    pid = os.fork()
    root = Path(sys.argv[1]) / str(n)
    if pid == 0:
        die_at_sync(n)
        write_bundle(root, fill, feature_schema="f1", created_s=0.0, meta={})
        os._exit(0)
    if os.waitpid(pid, 0)[1] == 0:
        break
"""


def fill_two_films(writer: BundleWriter) -> None:
    writer.array("recall/factors", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.json("titles", ["Heat", "Alien"])
    writer.path("ranking/model.ubj").write_bytes(b"trees")


def write(root: Path, *, feature_schema: str = "f1", created_s: float = 0.0, note: str = "") -> BundleRef:
    return write_bundle(
        root, fill_two_films, feature_schema=feature_schema, created_s=created_s, meta={"note": note}
    )


def names_in(folder: Path, pattern: str = "[0-9a-f]*") -> list[str]:
    return sorted(path.name for path in folder.glob(pattern))


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    written = write(tmp_path, created_s=12.5, note="two films")
    reader = open_bundle(written.path, feature_schema="f1")
    assert reader.name == written.name == written.path.name
    assert reader.array("recall/factors").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert reader.json("titles") == ["Heat", "Alien"]
    assert reader.path("ranking/model.ubj").read_bytes() == b"trees"
    assert (reader.manifest.created_s, reader.manifest.meta) == (12.5, {"note": "two films"})
    assert reader.manifest.files["ranking/model.ubj"].bytes == reader.manifest.n_bytes - sum(
        (written.path / name).stat().st_size for name in ("recall/factors.npy", "titles.json")
    )


def test_arrays_come_back_memory_mapped_and_read_only(tmp_path: Path) -> None:
    factors = open_bundle(write(tmp_path).path, feature_schema=None).array("recall/factors")
    assert isinstance(factors.base, np.memmap)  # a plain view of the mapped file
    with pytest.raises(ValueError, match="read-only"):
        factors[0, 0] = 1


@given(
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    st.sampled_from(["<f4", "<f8", "<i4", "<i8", "?", "<U3", "u1"]),
)
def test_an_array_of_any_shape_and_type_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...], dtype: str
) -> None:
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)

    def fill(writer: BundleWriter) -> None:
        writer.array("values", values.T)

    folder = write_bundle(
        tmp_path_factory.mktemp("shapes"), fill, feature_schema="f1", created_s=0.0, meta={}
    )
    back = open_bundle(folder.path, feature_schema=None).array("values")
    assert back.dtype == values.dtype
    assert back.shape == values.T.shape
    assert back.tolist() == values.T.tolist()


def test_equal_content_has_an_equal_name_whatever_its_date_and_notes(tmp_path: Path) -> None:
    first = write(tmp_path / "a", created_s=1.0, note="monday")
    second = write(tmp_path / "b", created_s=2.0, note="tuesday")
    assert first.name == second.name


def test_another_feature_schema_is_another_bundle(tmp_path: Path) -> None:
    assert write(tmp_path, feature_schema="f1").name != write(tmp_path, feature_schema="f2").name


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    first = write(tmp_path, created_s=1.0)
    before = (first.path / "manifest.json").read_bytes()
    again = write(tmp_path, created_s=2.0)
    assert (first.is_new, again.is_new) == (True, False)
    assert again.path == first.path
    assert (first.path / "manifest.json").read_bytes() == before
    assert names_in(tmp_path) == [first.name]


def test_writing_the_same_again_replaces_a_damaged_bundle(tmp_path: Path) -> None:
    first = write(tmp_path)
    (first.path / "titles.json").write_bytes(b'["Heat", "Aliem"]\n')
    assert write(tmp_path).is_new
    assert open_bundle(first.path, feature_schema=None).json("titles") == ["Heat", "Alien"]
    assert names_in(tmp_path, ".writing-*") == []


def test_a_fill_that_raises_leaves_nothing(tmp_path: Path) -> None:
    def fill(writer: BundleWriter) -> None:
        writer.array("first", np.arange(3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path, fill, feature_schema="f1", created_s=0.0, meta={})
    assert names_in(tmp_path) == names_in(tmp_path, ".writing-*") == []


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_writer_stopped_half_way_leaves_no_bundle_and_the_next_one_sweeps(
    tmp_path: Path, stop: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(stop)
        process.wait()
    assert names_in(tmp_path) == []
    written = write(tmp_path)
    assert names_in(tmp_path) == [written.name]
    assert names_in(tmp_path, ".writing-*") == []


def test_a_writer_still_at_work_is_not_swept(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_WRITER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        write(tmp_path)
        assert len(names_in(tmp_path, ".writing-*")) == 1
        process.communicate(b"go on\n")
    assert process.returncode == 0
    assert len(names_in(tmp_path)) == 2


def test_a_writer_killed_at_any_sync_leaves_a_whole_bundle_or_none(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", DYING_WRITER, str(tmp_path)], check=True)
    bundles = {int(run.name): names_in(run) for run in tmp_path.iterdir()}
    # two files, two folders, the manifest, its folder; then the rename; then the parent folder
    assert [len(bundles[n]) for n in sorted(bundles)] == [0, 0, 0, 0, 0, 0, 1, 1]
    for n, names in bundles.items():
        for name in names:
            assert open_bundle(tmp_path / str(n) / name, feature_schema="f1").json("titles") == ["Heat"]


def test_every_file_and_folder_is_synced_and_the_parent_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []

    def record(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced.append((status.st_ino, 0 if stat.S_ISDIR(status.st_mode) else status.st_size))

    monkeypatch.setattr("os.fsync", record)
    path = write(tmp_path).path
    inside = [path, *path.rglob("*")]
    kept = {(part.stat().st_ino, part.stat().st_size if part.is_file() else 0) for part in inside}
    assert len(kept) == 7  # three files, the manifest and three folders
    assert kept <= set(synced)  # with the size each has in the end
    assert synced[-1] == (tmp_path.stat().st_ino, 0)
    assert synced[-2] == (path.stat().st_ino, 0)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../other", "a/../../b", "a//b", "a/", "manifest.json"])
def test_a_name_that_leads_out_of_the_bundle_is_refused(tmp_path: Path, name: str) -> None:
    def fill(writer: BundleWriter) -> None:
        writer.path(name).write_bytes(b"")

    with pytest.raises(FieldError, match="a relative path inside the bundle"):
        write_bundle(tmp_path, fill, feature_schema="f1", created_s=0.0, meta={})


def test_a_name_is_written_once(tmp_path: Path) -> None:
    def fill(writer: BundleWriter) -> None:
        writer.json("titles", [])
        writer.json("titles", ["Heat"])

    with pytest.raises(FieldError, match=r"titles\.json.*written once"):
        write_bundle(tmp_path, fill, feature_schema="f1", created_s=0.0, meta={})


def test_python_objects_are_never_written(tmp_path: Path) -> None:
    def fill(writer: BundleWriter) -> None:
        writer.array("titles", np.array(["Heat", None], dtype=object))

    with pytest.raises(FieldError, match=r"titles\.npy: got dtype object"):
        write_bundle(tmp_path, fill, feature_schema="f1", created_s=0.0, meta={})


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {1, 2}, "\ud800"])
def test_a_value_that_json_does_not_have_is_refused(tmp_path: Path, value: object) -> None:
    def fill(writer: BundleWriter) -> None:
        writer.json("settings", {"value": value})

    with pytest.raises(FieldError, match=r"settings\.json"):
        write_bundle(tmp_path, fill, feature_schema="f1", created_s=0.0, meta={})


def test_notes_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="meta"):
        write_bundle(
            tmp_path, fill_two_films, feature_schema="f1", created_s=0.0, meta={"ndcg@10": float("nan")}
        )
    assert names_in(tmp_path) == []


def test_a_link_is_no_part_of_a_bundle(tmp_path: Path) -> None:
    def fill(writer: BundleWriter) -> None:
        writer.path("passwords").symlink_to("/etc")

    with pytest.raises(FieldError, match=r"'passwords'; expected a regular file"):
        write_bundle(tmp_path, fill, feature_schema="f1", created_s=0.0, meta={})
