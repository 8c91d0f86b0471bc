from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.hashing import digest_bytes, digest_file, hash64, hash64_many


def test_a_hash_is_the_same_on_every_machine_forever() -> None:
    by_b2sum = bytes.fromhex("15b0da4321160527")  # printf ada | b2sum -l 64
    assert hash64("ada") == int.from_bytes(by_b2sum, "little") == 2_811_677_874_490_880_021
    assert hash64("ada", "experiment-1") == 512_194_906_054_764_365


@given(st.lists(st.text(max_size=5), max_size=5), st.text(max_size=3))
def test_hashing_many_is_hashing_each(texts: list[str], salt: str) -> None:
    hashes = hash64_many(texts, salt)
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [hash64(text, salt) for text in texts]


def test_hashes_of_numbered_names_are_spread_evenly() -> None:
    n, n_cells = 16_000, 16
    cells = (hash64_many((f"u{number}" for number in range(n)), "salt") >> np.uint64(60)).astype(np.int64)
    counts = np.bincount(cells, minlength=n_cells)
    chi_square = float(((counts - n / n_cells) ** 2).sum() / (n / n_cells))
    assert chi_square < 62.0  # 15 degrees of freedom: one in ten million by chance


def test_digests_of_bytes_and_files_are_sha_256(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4
    assert digest_bytes(b"abc") == digest_file(path) == of_abc


def test_a_file_longer_than_one_chunk_is_digested_whole(tmp_path: Path) -> None:
    path = tmp_path / "long"
    content = bytes(range(256)) * 5_000  # 1.28 MB, read in chunks of 1 MiB
    path.write_bytes(content)
    assert digest_file(path) == digest_bytes(content)
