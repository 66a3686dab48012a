"""Places205 from miniatures of its two layouts, with real JPEGs."""

from pathlib import Path

import pytest
from PIL import Image

from odc_lightning.data import FileSource, places205
from odc_lightning.data.datasets.places import IMAGES, LISTS

# Neither sorted by path nor with every class in its first lines, so that order must come from here.
TRAIN = """\
f/field/wild/gsun_9.jpg 2
a/abbey/gsun_0003586d3eedd97457b2d729ebfe18b5.jpg 0
f/field/cultivated/gsun_1.jpg 1
a/abbey/gsun_2.jpg 0
"""
VAL = "f/field/cultivated/v.jpg 1\nf/field/wild/v.jpg 2\na/abbey/v 1.jpg 0\n"


def write_places(folder: Path, train: str = TRAIN, val: str = VAL) -> None:
    (folder / LISTS).mkdir()
    for split, text in (("train", train), ("val", val)):
        (folder / LISTS / f"{split}_places205.csv").write_text(text)
        for number, line in enumerate(text.splitlines()):
            jpeg(folder / IMAGES / line.rpartition(" ")[0], 10 * number)


def jpeg(path: Path, gray: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (gray, gray, gray)).save(path)


def labels_of(source: FileSource) -> list[int]:
    assert source.labels is not None
    return source.labels.tolist()


def test_official_layout(tmp_path: Path) -> None:
    write_places(tmp_path)
    train = places205(str(tmp_path), "train")
    assert [train.name(i) for i in range(4)] == [line.split()[0] for line in TRAIN.splitlines()]
    assert labels_of(train) == [2, 0, 1, 0]
    assert train.class_names == ["abbey", "field/cultivated", "field/wild"]
    assert train.path(3) == tmp_path / IMAGES / "a/abbey/gsun_2.jpg"
    assert train.load(3).getpixel((4, 4)) == (30, 30, 30)


def test_both_splits_number_the_classes_alike(tmp_path: Path) -> None:
    write_places(tmp_path)
    val = places205(str(tmp_path), "val")
    assert val.class_names == places205(str(tmp_path), "train").class_names
    assert labels_of(val) == [1, 2, 0]
    assert val.name(2) == "a/abbey/v 1.jpg"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_that_another_program_saved(tmp_path: Path, encoding: str) -> None:
    write_places(tmp_path)
    text = TRAIN.replace(" 2\n", " 2.0\n").replace("\n", "\r\n")
    (tmp_path / LISTS / "train_places205.csv").write_bytes(text.encode(encoding))
    train = places205(str(tmp_path), "train")
    assert labels_of(train) == [2, 0, 1, 0]
    assert train.name(0) == "f/field/wild/gsun_9.jpg"


def test_images_themselves_are_not_looked_at(tmp_path: Path) -> None:
    write_places(tmp_path)
    (tmp_path / IMAGES / "a/abbey/gsun_2.jpg").unlink()
    assert len(places205(str(tmp_path), "train")) == 4


def test_plain_folders(tmp_path: Path) -> None:
    jpeg(tmp_path / "train/abbey/1.jpg")
    jpeg(tmp_path / "train/airport/1.jpg")
    jpeg(tmp_path / "train/airport/2.jpg")
    jpeg(tmp_path / "val/abbey/3.jpg")
    train, val = places205(str(tmp_path), "train"), places205(str(tmp_path), "val")
    assert train.class_names == ["abbey", "airport"]
    assert labels_of(train) == [0, 1, 1]
    assert val.path(0) == tmp_path / "val/abbey/3.jpg"


def test_the_list_comes_first(tmp_path: Path) -> None:
    write_places(tmp_path)
    jpeg(tmp_path / "train/tower/1.jpg")
    assert len(places205(str(tmp_path), "train")) == 4


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_places(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(places205("~", "val")) == 3


def test_neither_layout(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        places205(str(tmp_path / "nowhere"), "train")
    with pytest.raises(ValueError, match=r"neither .*/val_places205\.csv nor a folder val;"):
        places205(str(tmp_path), "val")
    with pytest.raises(ValueError, match="split='test'; expected train or val"):
        places205(str(tmp_path), "test")  # type: ignore[arg-type]


def test_list_without_images(tmp_path: Path) -> None:
    write_places(tmp_path)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"images256, which is not a folder\. Unpack"):
        places205(str(tmp_path), "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a/abbey/x.jpg\n", r"'a/abbey/x\.jpg'; expected a path such as"),
        ("a/abbey/x.jpg,0\n", "expected a path such as"),
        ("a/abbey/x.jpg -1\n", "expected a path such as"),
        ("a/abbey/x.jpg 123456789\n", "expected a path such as"),
        ("abbey/x.jpg 0\n", "expected a path such as"),
        ("a/abbey/x.jpg 0\nb/bar/x.jpg 0\n", r"b/bar/x\.jpg has the number 0, which is abbey"),
        ("a/abbey/x.jpg 0\nb/bar/x.jpg 2\n", r"up to number 2, but no image of \[1\]"),
        ("b/bar/x.jpg 1\n", r"up to number 1, but no image of \[0\]"),
        ("", "names no images"),
    ],
)
def test_bad_lists(text: str, message: str, tmp_path: Path) -> None:
    write_places(tmp_path)
    (tmp_path / LISTS / "val_places205.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"val_places205\.csv.*{message}"):
        places205(str(tmp_path), "val")
