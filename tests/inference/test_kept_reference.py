"""A reference on disk: read as it was written, or not at all."""

from pathlib import Path

import numpy as np
import pytest

from odc_lightning.inference.kept_reference import Kept, read_kept, write_kept
from odc_lightning.utils.seals import seal

FACTS = {"network": "abc", "metric": "l2"}
RNG = np.random.default_rng(0)
KEPT = Kept(
    ["a/1.png", "=b.png", 'c "d".png'],
    RNG.normal(size=(2, 4)).astype(np.float32),
    np.array([2, 1]),
    RNG.normal(size=(3, 4)).astype(np.float32),
    np.array([0, 1, 0]),
    0.75,
)


def assert_equal(found: Kept | None) -> None:
    assert found is not None
    assert (found.names, found.agreement) == (KEPT.names, KEPT.agreement)
    for before, after in zip(KEPT[1:5], found[1:5], strict=True):
        assert np.array_equal(before, after)


def test_one_changed_byte_anywhere_gives_no_other_reference(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "reference"
    write_kept(KEPT, folder, FACTS)
    assert_equal(read_kept(folder, FACTS, 2))
    assert read_kept(folder, {**FACTS, "metric": "cosine"}, 2) is None
    assert caplog.text == ""
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        for place in range(0, len(whole), 5):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            found = read_kept(folder, FACTS, 2)
            if found is not None:  # a byte without meaning
                assert_equal(found)
        file.write_bytes(whole[:-1])
        assert read_kept(folder, FACTS, 2) is None
        file.write_bytes(whole)
    assert "reference is damaged and is made again: the digest of centroids.npy is wrong" in (
        caplog.text
    )
    assert_equal(read_kept(folder, FACTS, 2))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("features", np.zeros((3, 5), np.float32)),
        ("features", np.zeros((3, 4))),
        ("counts", np.zeros(3, np.int64)),
        ("centroids", np.zeros((), np.float32)),
        ("centroids", np.array([[None]])),
    ],
)
def test_files_that_do_not_belong_together(tmp_path: Path, name: str, array: np.ndarray) -> None:
    """With the right digests, as somebody else can write them."""
    folder = tmp_path / "reference"
    write_kept(KEPT, folder, FACTS)
    np.save(folder / f"{name}.npy", array)
    seal(folder / f"{name}.npy")
    assert read_kept(folder, FACTS, 2) is None
    assert read_kept(folder, FACTS, 3) is None


def test_an_array_that_is_larger_than_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "reference"
    write_kept(KEPT, folder, FACTS)
    file = folder / "features.npy"
    file.write_bytes(file.read_bytes().replace(b"(3, 4)", b"(3000000000, 400000)")[:4000])
    seal(file)
    assert read_kept(folder, FACTS, 2) is None
