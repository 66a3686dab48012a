"""VOC2007 from a miniature of it: lists as VOC writes them, real JPEGs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odc_lightning.data import voc2007
from odc_lightning.data.datasets.voc import CLASSES
from odc_lightning.data.subset import subset_of

TRAINVAL = ("000005", "000007", "000012")
TEST = ("000001", "000002")
BIRD, CAR, SHEEP, TVMONITOR = (
    CLASSES.index(name) for name in ("bird", "car", "sheep", "tvmonitor")
)


def write_voc(folder: Path) -> Path:
    """`VOC2007` in `folder`: three images to train on, two for validation."""
    voc = folder / "VOCdevkit" / "VOC2007"
    (voc / "ImageSets" / "Main").mkdir(parents=True)
    (voc / "JPEGImages").mkdir()
    for image in (*TRAINVAL, *TEST):
        gray = Image.new("RGB", (50, 37), (int(image),) * 3)
        gray.save(voc / "JPEGImages" / f"{image}.jpg")
    for name in CLASSES:
        write_list(voc, name, "trainval", TRAINVAL, [-1, -1, -1])
        write_list(voc, name, "test", TEST, [-1, -1])
    write_list(voc, "car", "trainval", TRAINVAL, [-1, 1, 0])
    write_list(voc, "bird", "trainval", TRAINVAL, [1, 1, -1])
    write_list(voc, "tvmonitor", "test", TEST, [0, 1])
    return voc


def write_list(
    voc: Path, name: str, split: str, images: Sequence[str], shown: Sequence[int]
) -> None:
    lines = [f"{image} {value:2d}\n" for image, value in zip(images, shown, strict=True)]
    (voc / f"ImageSets/Main/{name}_{split}.txt").write_text("".join(lines))


def test_lists_are_as_voc_writes_them(tmp_path: Path) -> None:
    voc = write_voc(tmp_path)
    text = (voc / "ImageSets/Main/car_trainval.txt").read_text()
    assert text == "000005 -1\n000007  1\n000012  0\n"


def test_objects_of_every_image(tmp_path: Path) -> None:
    write_voc(tmp_path)
    source = voc2007(str(tmp_path), "trainval")
    expected = np.full((3, 20), -1)
    expected[:, CAR] = -1, 1, 0
    expected[:, BIRD] = 1, 1, -1
    assert source.objects is not None
    assert source.objects.dtype == np.int8
    np.testing.assert_array_equal(source.objects, expected)
    assert source.labels is None
    assert [source.name(i) for i in range(3)] == [f"JPEGImages/{image}.jpg" for image in TRAINVAL]
    assert source.load(2).getpixel((3, 3)) == (12, 12, 12)


def test_test_split(tmp_path: Path) -> None:
    write_voc(tmp_path)
    source = voc2007(str(tmp_path), "test")
    assert source.objects is not None
    assert source.objects[:, TVMONITOR].tolist() == [0, 1]
    assert (source.objects[:, :TVMONITOR] == -1).all()
    assert [source.name(i) for i in range(2)] == [f"JPEGImages/{image}.jpg" for image in TEST]


def test_class_names(tmp_path: Path) -> None:
    write_voc(tmp_path)
    names = voc2007(str(tmp_path), "test").class_names
    assert names is not None
    assert names == sorted(names)
    assert len(set(names)) == 20
    assert (names[0], names[14], names[19]) == ("aeroplane", "person", "tvmonitor")


@pytest.mark.parametrize("root", [".", "VOCdevkit", "VOCdevkit/VOC2007"])
def test_the_root_may_be_any_of_three_folders(root: str, tmp_path: Path) -> None:
    voc = write_voc(tmp_path)
    source = voc2007(str(tmp_path / root), "trainval")
    assert source.path(1) == voc / "JPEGImages/000007.jpg"
    assert source.name(1) == "JPEGImages/000007.jpg"


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_voc(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(voc2007("~/VOCdevkit", "test")) == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_that_another_program_saved(tmp_path: Path, encoding: str) -> None:
    voc = write_voc(tmp_path)
    text = "000005 -1.0\r\n000007 1.0\r\n000012 0\r\n"
    (voc / "ImageSets/Main/car_trainval.txt").write_bytes(text.encode(encoding))
    source = voc2007(str(tmp_path), "trainval")
    assert source.objects is not None
    assert source.objects[:, CAR].tolist() == [-1, 1, 0]


def test_lists_may_differ_in_their_order(tmp_path: Path) -> None:
    voc = write_voc(tmp_path)
    write_list(voc, "sheep", "trainval", TRAINVAL[::-1], [1, 0, -1])
    source = voc2007(str(tmp_path), "trainval")
    assert source.objects is not None
    assert source.objects[:, SHEEP].tolist() == [-1, 0, 1]
    assert source.objects[:, CAR].tolist() == [-1, 1, 0]


def test_number_of_images_but_no_classes_can_be_drawn(tmp_path: Path) -> None:
    write_voc(tmp_path)
    source = voc2007(str(tmp_path), "trainval")
    drawn = subset_of(source, num_images=2)
    assert source.objects is not None
    np.testing.assert_array_equal(drawn.objects, source.objects[drawn.indices])
    with pytest.raises(ValueError, match=r"needs labels.*subset\.num_images"):
        subset_of(source, num_classes=2)


def test_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        voc2007(str(tmp_path / "nowhere"), "test")
    (tmp_path / "VOCdevkit").mkdir()
    with pytest.raises(
        ValueError, match=r"VOCdevkit/VOC2007/ImageSets/Main; .*VOCtest_06-Nov-2007\.tar"
    ):
        voc2007(str(tmp_path), "test")


def test_unknown_split() -> None:
    with pytest.raises(ValueError, match="split='val'; expected trainval or test"):
        voc2007("anywhere", "val")  # type: ignore[arg-type]


def test_lists_of_the_test_images_were_not_unpacked(tmp_path: Path) -> None:
    voc = write_voc(tmp_path)
    for path in (voc / "ImageSets/Main").glob("*_test.txt"):
        path.unlink()
    assert len(voc2007(str(tmp_path), "trainval")) == 3
    with pytest.raises(ValueError, match=r"aeroplane_test\.txt.*VOCtest_06-Nov-2007\.tar"):
        voc2007(str(tmp_path), "test")


def test_one_list_is_missing(tmp_path: Path) -> None:
    voc = write_voc(tmp_path)
    (voc / "ImageSets/Main/sheep_trainval.txt").unlink()
    with pytest.raises(ValueError, match=r"sheep_trainval\.txt.*VOCtrainval_06-Nov-2007\.tar"):
        voc2007(str(tmp_path), "trainval")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (("000005", "000007"), "1 are in only one of them, for example 000012"),
        (("000005", "000007", "000013"), "2 are in only one of them, for example 000012"),
        ((*TRAINVAL, "000099"), "1 are in only one of them, for example 000099"),
    ],
)
def test_lists_disagree(images: Sequence[str], message: str, tmp_path: Path) -> None:
    voc = write_voc(tmp_path)
    write_list(voc, "sheep", "trainval", images, [1] * len(images))
    with pytest.raises(ValueError, match=rf"sheep_trainval\.txt and aeroplane_.*{message}"):
        voc2007(str(tmp_path), "trainval")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("000005\n", "'000005'; expected an image and -1, 0 or 1"),
        ("000005 2\n", "'000005 2'; expected"),
        ("000005 one\n", "'000005 one'; expected"),
        ("000005 1 1\n", "'000005 1 1'; expected"),
        ("000005 -1\n000005  1\n", "names the image 000005 twice"),
        ("", "names no images"),
    ],
)
def test_unreadable_list(text: str, message: str, tmp_path: Path) -> None:
    voc = write_voc(tmp_path)
    (voc / "ImageSets/Main/cow_test.txt").write_text(text)
    with pytest.raises(ValueError, match=rf"cow_test\.txt.*{message}"):
        voc2007(str(tmp_path), "test")


def test_images_are_missing(tmp_path: Path) -> None:
    voc = write_voc(tmp_path)
    for image in TEST:
        (voc / f"JPEGImages/{image}.jpg").unlink()
    assert len(voc2007(str(tmp_path), "trainval")) == 3
    message = r"2 of the 2 images .* first is JPEGImages/000001\.jpg\. .*VOCtest_06-Nov-2007\.tar"
    with pytest.raises(ValueError, match=message):
        voc2007(str(tmp_path), "test")
    (voc / "JPEGImages/000007.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 of the 3 images .* first is JPEGImages/000007\.jpg"):
        voc2007(str(tmp_path), "trainval")


def test_folder_of_images_is_missing(tmp_path: Path) -> None:
    voc = write_voc(tmp_path)
    (voc / "JPEGImages").rename(voc / "elsewhere")
    with pytest.raises(ValueError, match="3 of the 3 images"):
        voc2007(str(tmp_path), "trainval")
