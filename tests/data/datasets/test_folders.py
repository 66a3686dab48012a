"""Folders and lists of files: what is found, in which order, with which labels."""

import os
from pathlib import Path

import pytest
from PIL import Image

from odc_lightning.data import FileSource, file_list, image_folder, imagenet


def images(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)


def names_of(source: FileSource) -> list[str]:
    return [source.name(i) for i in range(len(source))]


def labels_of(source: FileSource) -> list[int]:
    assert source.labels is not None
    return source.labels.tolist()


def test_any_folder_without_labels(tmp_path: Path) -> None:
    images(tmp_path, "b.png", "a/über uns.JPG", "a/deep/er/1.webp", ".hidden.png", ".git/x.png")
    (tmp_path / "notes.txt").write_text("no image")
    source = image_folder(str(tmp_path))
    assert names_of(source) == ["a/deep/er/1.webp", "a/über uns.JPG", "b.png"]
    assert source.labels is None
    assert [source.load(i).size for i in range(3)] == [(4, 4)] * 3


def test_labels_are_the_folders(tmp_path: Path) -> None:
    images(tmp_path, "dog/2.png", "cat/1.png", "dog/1.png", "bird/night/1.png")
    source = image_folder(str(tmp_path), labels_from_folder=True)
    assert source.class_names == ["bird/night", "cat", "dog"]
    assert labels_of(source) == [0, 1, 2, 2]


def test_labels_of_images_in_no_class_folder(tmp_path: Path) -> None:
    images(tmp_path, "dog/2.png", "stray.png")
    with pytest.raises(ValueError, match=r"1 images lie directly .* stray\.png"):
        image_folder(str(tmp_path), labels_from_folder=True)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    images(tmp_path / "root", "a/1.png")
    images(tmp_path / "elsewhere", "2.png")
    (tmp_path / "root/a/up").symlink_to(tmp_path / "root")
    (tmp_path / "root/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "root/a")
    (tmp_path / "root/self").symlink_to("self")
    assert names_of(image_folder(str(tmp_path / "root"))) == ["a/1.png", "b/2.png"]


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images(tmp_path, "mine/1.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names_of(image_folder("~/mine")) == ["1.png"]


def test_no_folder_or_no_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere is not a folder"):
        image_folder(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="no images below"):
        image_folder(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_unreadable_folder_is_no_empty_folder(tmp_path: Path) -> None:
    images(tmp_path, "a/1.png", "locked/1.png")
    (tmp_path / "locked").chmod(0)
    with pytest.raises(PermissionError):
        image_folder(str(tmp_path))
    (tmp_path / "locked").chmod(0o700)


def test_imagenet(tmp_path: Path) -> None:
    images(tmp_path, "train/n01443537/x.JPEG", "train/n01440764/y.JPEG")
    source = imagenet(str(tmp_path / "train"))
    assert source.class_names == ["n01440764", "n01443537"]
    assert labels_of(source) == [0, 1]
    with pytest.raises(ValueError, match=r"expected the train folder .* or val .* sorted"):
        imagenet(str(tmp_path))


def listing(folder: Path, text: str, name: str = "list.txt") -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


def test_plain_list_keeps_its_order(tmp_path: Path) -> None:
    images(tmp_path, "b, c.png", "ä/1.png")
    absolute = tmp_path / "ä/1.png"
    source = file_list(listing(tmp_path, f"b, c.png\n\n{absolute}\nä/1.png\n"))
    assert names_of(source) == ["b, c.png", str(absolute), "ä/1.png"]
    assert [source.load(i).size for i in range(3)] == [(4, 4)] * 3
    assert source.labels is None


def test_relative_paths_start_at_root(tmp_path: Path) -> None:
    images(tmp_path / "there", "1.png")
    (tmp_path / "lists").mkdir()
    path = listing(tmp_path / "lists", "1.png\n")
    assert file_list(path, root=str(tmp_path / "there")).path(0) == tmp_path / "there/1.png"
    assert file_list(path).path(0) == tmp_path / "lists/1.png"


def test_csv_with_words_as_labels(tmp_path: Path) -> None:
    text = '\ufeffpath,label\n"a, b.png",dog\nc.png,cat\nd.png,\ne.png,dog\n'
    source = file_list(listing(tmp_path, text, "list.csv"))
    assert names_of(source) == ["a, b.png", "c.png", "d.png", "e.png"]
    assert source.class_names == ["cat", "dog"]
    assert labels_of(source) == [1, 0, -1, 1]


def test_csv_with_numbers_as_labels(tmp_path: Path) -> None:
    source = file_list(listing(tmp_path, "path,label\na.png,10\nb.png,9\nc.png,-1\nd.png,09\n"))
    assert source.class_names == ["09", "9", "10"]
    assert labels_of(source) == [2, 1, -1, 0]


def test_csv_of_paths_alone(tmp_path: Path) -> None:
    source = file_list(listing(tmp_path, "path\na.png\n", "list.csv"))
    assert names_of(source) == ["a.png"]
    assert source.labels is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no images"),
        ("path,label\n", "names no images"),
        ("photo;kind\na.png;1\n", "expected .path. or .path,label. as the first line"),
        ("path,label\na.png,dog\nb.png\n", "1 fields; expected 2"),
    ],
)
def test_bad_lists(tmp_path: Path, text: str, message: str) -> None:
    name = "list.txt" if message == "names no images" else "list.csv"
    with pytest.raises(ValueError, match=message):
        file_list(listing(tmp_path, text, name))


def test_missing_list(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a file"):
        file_list(str(tmp_path / "none.txt"))
