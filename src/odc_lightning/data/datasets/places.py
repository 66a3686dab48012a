"""Places205, scenes of 205 classes, in its official layout or in plain folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from odc_lightning.data.datasets.folders import existing_folder, image_folder
from odc_lightning.data.files.list_text import lines_of, read_text
from odc_lightning.data.files.patterns import HIDDEN
from odc_lightning.data.sources import FileSource

LISTS = "trainvalsplit_places205"
IMAGES = "data/vision/torralba/deeplearning/images256"

# `f/field/wild/x.jpg 61`: initial of the class, class, file; a space and the number of the class.
_LINE = re.compile(r"(\w/(.+)/[^/]+) (\d{1,3})(?:\.0)?")


def places205(
    root: str, split: Literal["train", "val"], exclude: Sequence[str] | None = HIDDEN
) -> FileSource:
    """Places205: 2.4 million images for training, 20,500 for validation.

    If `root` has the official list of the split, the list gives the images, their order and the
    class numbers. Otherwise the folder `train` or `val` is read, with one sub-folder per class.

    Args:
        exclude: see `image_folder`; a list is read as it is.

    Raises:
        ValueError: if `root` has neither, or a list but not the folder of its images; or if a list
            has a line that is not a path and a number, two classes of one number, or a number
            without a class. Missing image files are found by the scan.
    """
    if split not in ("train", "val"):
        raise ValueError(f"split={split!r}; expected train or val")
    folder = existing_folder(root)
    listing = folder / LISTS / f"{split}_places205.csv"
    if listing.is_file():
        return _listed(listing, folder / IMAGES)
    if (folder / split).is_dir():
        return image_folder(str(folder / split), labels_from_folder=True, exclude=exclude)
    raise ValueError(
        f"data.root={folder} has neither {LISTS}/{listing.name} nor a folder {split}; expected the "
        f"official list, or {split} with one sub-folder per class"
    )


def _listed(listing: Path, images: Path) -> FileSource:
    if not images.is_dir():
        raise ValueError(
            f"{listing} names images in {images}, which is not a folder. Unpack the archive of the "
            "images into data.root."
        )
    names: list[str] = []
    labels: list[int] = []
    classes: dict[int, str] = {}
    for number, line in lines_of(read_text(listing)):
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise ValueError(
                f"{listing}, line {number}: {line.rstrip()!r}; expected a path such as "
                "a/abbey/x.jpg, a space and the number of the class. Download the list again."
            )
        name, class_name, label = match[1], match[2], int(match[3])
        if classes.setdefault(label, class_name) != class_name:
            raise ValueError(
                f"{listing}, line {number}: {name} has the number {label}, which is "
                f"{classes[label]} in the lines above; expected one number per class. Download the "
                "list again."
            )
        names.append(name)
        labels.append(label)
    if not names:
        raise ValueError(f"{listing} names no images. Download the list again.")
    if unused := sorted(set(range(max(classes))) - classes.keys()):
        raise ValueError(
            f"{listing} has classes up to number {max(classes)}, but no image of {unused[:5]}; "
            "expected at least one of each class. Download the list again."
        )
    class_names = [classes[label] for label in range(len(classes))]
    return FileSource(images, names, np.array(labels, dtype=np.int64), class_names)
