"""PASCAL VOC 2007, whose images show objects of several classes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from odc_lightning.data.datasets.folders import existing_folder
from odc_lightning.data.files.list_text import lines_of, read_text
from odc_lightning.data.sources import FileSource

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)

# The archive of each split's lists and images. Both unpack into VOCdevkit/VOC2007.
ARCHIVES = {"trainval": "VOCtrainval_06-Nov-2007.tar", "test": "VOCtest_06-Nov-2007.tar"}


def voc2007(root: str, split: Literal["trainval", "test"]) -> FileSource:
    """VOC2007: 5,011 images for training (`trainval`), 4,952 for validation (`test`).

    An image has no single class, so `labels` is None. `objects` is (N, 20), as in VOC's lists.

    Args:
        root: the folder that contains `VOCdevkit`, `VOCdevkit` itself, or `VOC2007` in it.

    Raises:
        ValueError: if the folder, a class list or an image is missing, if a line of a list is not
            an image and -1, 0 or 1, or if the lists name different images.
    """
    if split not in ARCHIVES:
        raise ValueError(f"split={split!r}; expected trainval or test")
    folder = _voc2007_folder(root)
    lists = [folder / "ImageSets" / "Main" / f"{name}_{split}.txt" for name in CLASSES]
    columns = [_read_list(path, ARCHIVES[split]) for path in lists]
    for path, column in zip(lists, columns, strict=True):
        if differing := sorted(column.keys() ^ columns[0].keys()):
            raise ValueError(
                f"{path} and {lists[0].name} name different images: {len(differing)} are in only "
                f"one of them, for example {differing[0]}. Unpack {ARCHIVES[split]} again."
            )
    images = list(columns[0])
    objects = np.array([[column[image] for column in columns] for image in images], np.int8)
    names = [f"JPEGImages/{image}.jpg" for image in images]
    _check_files(folder, names, ARCHIVES[split])
    return FileSource(folder, names, class_names=list(CLASSES), objects=objects)


def _voc2007_folder(root: str) -> Path:
    start = existing_folder(root)
    for folder in (start, start / "VOC2007", start / "VOCdevkit" / "VOC2007"):
        if (folder / "ImageSets" / "Main").is_dir():
            return folder
    raise ValueError(
        f"data.root={start} has no ImageSets/Main, VOC2007/ImageSets/Main or "
        f"VOCdevkit/VOC2007/ImageSets/Main; expected the folder into which "
        f"{' and '.join(ARCHIVES.values())} were unpacked"
    )


def _read_list(path: Path, archive: str) -> dict[str, int]:
    """Whether each image shows the class, in the order of the list: 1, -1 or 0 (difficult)."""
    if not path.is_file():
        raise ValueError(
            f"{path} is missing. Trainval and test images have one archive each, and this list is "
            f"in {archive}. Unpack it into the same VOCdevkit."
        )
    shown: dict[str, int] = {}
    for number, line in lines_of(read_text(path)):
        fields = line.split()  # two spaces before a 1 or a 0, one before a -1
        value = fields[-1].removesuffix(".0")  # as spreadsheets may save it
        if len(fields) != 2 or value not in ("-1", "0", "1"):
            raise ValueError(f"{path}, line {number}: {line!r}; expected an image and -1, 0 or 1")
        if fields[0] in shown:
            raise ValueError(f"{path} names the image {fields[0]} twice. Unpack {archive} again.")
        shown[fields[0]] = int(value)
    if not shown:
        raise ValueError(f"{path} names no images. Unpack {archive} again.")
    return shown


def _check_files(folder: Path, names: list[str], archive: str) -> None:
    images = folder / "JPEGImages"
    # One listing of the folder: on network drives thousands of single checks take minutes.
    present = {f"JPEGImages/{path.name}" for path in images.iterdir()} if images.is_dir() else set()
    if missing := [name for name in names if name not in present]:
        raise ValueError(
            f"{len(missing)} of the {len(names)} images that the lists name are not in {folder}; "
            f"the first is {missing[0]}. Unpack {archive} into the same VOCdevkit."
        )
