from pathlib import Path

import pytest

from recsys.core.errors import DataFormatError
from recsys.data import formats
from recsys.data.folder import save_dataset
from recsys.data.formats import detect, fingerprint, load_dataset

NOW_S = 1.7e9


def write_movielens(folder: Path) -> None:
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,10,4.5,100\n")
    (folder / "movies.csv").write_text("movieId,title,genres\n10,Heat (1995),Action\n")


def test_a_folder_is_told_by_its_files_before_and_after_conversion(tmp_path: Path) -> None:
    write_movielens(tmp_path)
    assert detect(tmp_path) == "movielens"
    dataset = load_dataset(tmp_path, now_s=NOW_S).dataset
    save_dataset(dataset, tmp_path / "ours")
    assert detect(tmp_path / "ours") == "marquee"
    assert load_dataset(tmp_path / "ours", now_s=NOW_S).dataset.items.equals(dataset.items)


def test_the_real_data_sets_are_told_apart(real_data: Path) -> None:
    assert detect(real_data / "ml-latest-small") == "movielens"
    assert detect(real_data / "kuairand-pure") == "kuairand"


@pytest.mark.parametrize(
    ("files", "found"),
    [(None, "nothing there"), ([], "an empty folder"), (["thesis.tex"], r"thesis\.tex")],
)
def test_anything_else_gets_one_sentence_of_what_was_looked_for_and_found(
    tmp_path: Path, files: list[str] | None, found: str
) -> None:
    folder = tmp_path / "x"
    if files is not None:
        folder.mkdir()
    for name in files or ():
        (folder / name).touch()
    with pytest.raises(
        DataFormatError, match=rf"x: looked for Marquee .* MovieLens .* KuaiRand .*; found {found}$"
    ):
        detect(folder)


def test_a_file_is_not_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "x.csv").touch()
    with pytest.raises(DataFormatError, match=r"found a file, not a folder$"):
        detect(tmp_path / "x.csv")


class TestFingerprint:
    def test_changes_with_a_byte_and_with_a_name_but_not_with_the_place(self, tmp_path: Path) -> None:
        digests = []
        for place, name, content in (("a", "x", "1"), ("b", "x", "1"), ("c", "x", "2"), ("d", "y", "1")):
            (tmp_path / place).mkdir()
            (tmp_path / place / name).write_text(content)
            digests.append(fingerprint(tmp_path / place))
        assert digests[0] == digests[1]
        assert len({digests[0], digests[2], digests[3]}) == 3

    def test_of_much_data_looks_at_the_ends(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(formats, "_WHOLE_BYTES", 0)
        file = tmp_path / "x"
        file.write_bytes(b"a" * 10)
        before = fingerprint(tmp_path)
        assert fingerprint(tmp_path) == before
        file.write_bytes(b"a" * 9 + b"b")
        assert fingerprint(tmp_path) != before

    def test_of_nothing_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataFormatError, match="an empty folder"):
            fingerprint(tmp_path)
