"""Sources: images in memory, on disk, and views of either."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odc_lightning.data import ArraySource, FileSource, SubsetSource
from odc_lightning.data.views_of_copies import EnoughFor


def test_array_source() -> None:
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    source = ArraySource(images, "toy", np.array([1, 0]), ["a", "b"])
    assert len(source) == 2
    assert source.load(1).mode == "RGB"
    np.testing.assert_array_equal(np.asarray(source.load(1))[..., 2], images[1])
    assert source.name(1) == "toy/1"
    assert source.path(1) is None
    assert source.labels is not None
    assert source.labels.dtype == np.int64


@pytest.mark.parametrize(
    "images", [np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 4, 5), np.uint8)]
)
def test_array_source_refuses_other_arrays(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        ArraySource(images, "toy")


def test_labels_must_match_the_images() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\); expected \(2,\)"):
        ArraySource(np.zeros((2, 4, 4), np.uint8), "toy", np.array([0, 1, 2]))


def test_file_source(tmp_path: Path) -> None:
    Image.new("RGB", (5, 4), "red").save(tmp_path / "a b.png")
    source = FileSource(tmp_path, ["a b.png"])
    assert source.name(0) == "a b.png"
    assert source.path(0) == tmp_path / "a b.png"
    assert source.load(0).getpixel((0, 0)) == (255, 0, 0)
    assert source.labels is None


def test_undecodable_file_is_named_with_advice(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"bad\.jpg.*data\.scan=full.*data\.on_error=skip"):
        FileSource(tmp_path, ["bad.jpg"]).load(0)


def test_subset_is_a_view() -> None:
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1)
    source = ArraySource(images, "toy", np.array([3, 2, 1, 0]), list("abcd"))
    view = SubsetSource(SubsetSource(source, np.array([1, 2, 3])), np.array([2, 0]))
    assert [view.name(i) for i in range(len(view))] == ["toy/3", "toy/1"]
    assert [view.load(i).getpixel((0, 0)) for i in range(2)] == [(3, 3, 3), (1, 1, 1)]
    assert view.labels is not None
    assert view.labels.tolist() == [0, 2]
    assert view.class_names == list("abcd")


OBJECTS = np.array([[1, -1], [0, 1], [-1, -1]])


def test_objects(tmp_path: Path) -> None:
    source = FileSource(tmp_path, list("abc"), class_names=["cat", "dog"], objects=OBJECTS)
    assert source.objects is not None
    assert source.objects.dtype == np.int8
    np.testing.assert_array_equal(source.objects, OBJECTS)
    assert source.labels is None
    assert FileSource(tmp_path, list("abc")).objects is None
    assert ArraySource(np.zeros((3, 4, 4), np.uint8), "toy").objects is None


def test_subset_takes_the_rows_of_its_images(tmp_path: Path) -> None:
    source = FileSource(tmp_path, list("abc"), objects=OBJECTS)
    view = SubsetSource(SubsetSource(source, np.array([2, 1, 0])), np.array([1, 2]))
    assert [view.name(i) for i in range(2)] == ["b", "a"]
    assert view.objects is not None
    assert view.objects.tolist() == [[0, 1], [1, -1]]
    assert SubsetSource(FileSource(tmp_path, list("abc")), np.array([1])).objects is None


@pytest.mark.parametrize(
    ("objects", "class_names", "message"),
    [
        (OBJECTS[:2], None, r"shape \(2, 2\); expected \(3, C\)"),
        (OBJECTS[:, 0], None, r"shape \(3,\); expected \(3, C\)"),
        (OBJECTS, ["cat", "dog", "cow"], r"shape \(3, 2\); expected \(3, 3\)"),
        (OBJECTS + 1, ["cat", "dog"], r"values \[2\]; expected 1 \(shown\), -1"),
    ],
)
def test_objects_must_match_the_images(
    objects: np.ndarray, class_names: list[str] | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        FileSource(tmp_path, list("abc"), class_names=class_names, objects=objects)


def test_sizes_are_those_of_the_upright_images(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (50, 40)).save(tmp_path / "turned.jpg", exif=exif)
    files = FileSource(tmp_path, ["turned.jpg"])
    array = ArraySource(np.zeros((2, 7, 9), np.uint8), "x")
    assert files.size(0) == files.load(0).size == (40, 50)
    assert array.size(1) == array.load(1).size == (9, 7)
    assert SubsetSource(array, np.array([1])).size(0) == (9, 7)


def test_copies_leave_the_images_as_they_are(tmp_path: Path) -> None:
    Image.new("RGB", (500, 400)).save(tmp_path / "x.jpg")
    files = FileSource(tmp_path, ["x.jpg"])
    images = SubsetSource(SubsetSource(files, np.array([0])), np.array([0]))
    copies = images.in_copies(EnoughFor(shorter_side=40))
    assert copies.load(0).size == (50, 40)
    assert copies.size(0) == (500, 400)
    assert copies.name(0) == "x.jpg"
    assert copies.in_copies(EnoughFor(shorter_side=80)).load(0).size == (100, 80)
    assert images.load(0).size == files.load(0).size == (500, 400)
