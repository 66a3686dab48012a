"""Image files as sources: a folder with any sub-folders, a list of files, or ImageNet."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import NoReturn

import numpy as np

from odc_lightning.data.images import image_extensions
from odc_lightning.data.sources import FileSource
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.home import expanded

_WNID = re.compile(r"n\d{8}")  # the names of ImageNet's class folders


def image_folder(root: str, labels_from_folder: bool = False) -> FileSource:
    """Every image at any depth below `root`, sorted by path; no labels are needed.

    Hidden files and folders are skipped. Links to folders are followed. Each folder is read once,
    so circular links do no harm.

    Args:
        labels_from_folder: use the name of the folder that contains an image as its class, for
            scoring.

    Raises:
        ValueError: if `root` is not a folder or has no images, or with `labels_from_folder` if
            images lie directly in `root`.
    """
    folder = existing_folder(root)
    extensions = image_extensions()
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in _walk(folder)
        if path.suffix.lower() in extensions
    )
    if not names:
        raise ValueError(
            f"no images below {folder}; expected at least one. Is it the right folder?"
        )
    if not labels_from_folder:
        return FileSource(folder, names)
    parents = [PurePath(name).parent.as_posix() for name in names]
    if "." in parents:
        raise ValueError(
            f"labels_from_folder=true, but {parents.count('.')} images lie directly in {folder}, "
            f"for example {names[parents.index('.')]}; expected each one in the folder of its class"
        )
    return FileSource(folder, names, *_encode_labels(parents))


def imagenet(root: str) -> FileSource:
    """ImageNet's `train` or `val` folder, with one sub-folder per class (`n01440764`, ...).

    Raises:
        ValueError: if `root` has no such sub-folders.
    """
    folder = existing_folder(root)
    if not any(_WNID.fullmatch(entry.name) for entry in folder.iterdir()):
        raise ValueError(
            f"data.root={folder} has no class folders such as n01440764; expected the train folder "
            "of ImageNet, or val with its images sorted into such folders. "
            "For other images use data=image_folder."
        )
    return image_folder(root, labels_from_folder=True)


def file_list(path: str, root: str | None = None) -> FileSource:
    """The images that a text file lists, in the order of the list.

    The file is either plain text with one path per line, or CSV whose first line is `path` or
    `path,label`. Labels may be numbers or words; an empty one or -1 means unknown. Paths are
    relative to `root`, or to the folder of the list if `root` is None.

    Raises:
        ValueError: if the list is missing or empty, or a line has the wrong number of fields.
    """
    listing = expanded(path)
    if not listing.is_file():
        raise ValueError(f"data.train.path={listing} is not a file; expected a list of images")
    lines = [line for line in listing.read_text("utf-8-sig").split("\n") if line.strip()]
    header = [field.strip() for field in lines[0].split(",")] if lines else []
    is_csv = header in (["path"], ["path", "label"])
    if listing.suffix.lower() == ".csv" and not is_csv:
        raise ValueError(f"{listing}: expected `path` or `path,label` as the first line")
    rows = list(csv.reader(lines[1:])) if is_csv else [[line] for line in lines]
    if not rows:
        raise ValueError(f"file list {listing} names no images; expected one path per line")
    num_fields = len(header) if is_csv else 1
    for row in rows:
        if len(row) != num_fields:
            raise ValueError(f"{listing}: {row} has {len(row)} fields; expected {num_fields}")
    folder = existing_folder(root) if root is not None else listing.parent
    names = [row[0].strip() for row in rows]
    if num_fields == 1:
        return FileSource(folder, names)
    return FileSource(folder, names, *_encode_labels([row[1].strip() for row in rows]))


def existing_folder(root: str) -> Path:
    """`data.root` as a path, with `~` expanded.

    Raises:
        ValueError: if it is not a folder.
    """
    folder = expanded(root)
    if not folder.is_dir():
        found = "is a file" if folder.is_file() else "is not a folder"
        raise ValueError(f"{folder} {found}; expected the folder of the images")
    return folder


def _walk(root: Path) -> Iterator[Path]:
    """Files below `root` that are not hidden; a folder reached by two paths is read once."""

    def fail(error: OSError) -> NoReturn:
        raise error  # os.walk would silently skip an unreadable folder

    seen: set[tuple[int, int]] = set()
    for folder, subfolders, files in os.walk(root, onerror=fail, followlinks=True):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(folder, name) for name in files if not name.startswith("."))


def _encode_labels(values: Sequence[str]) -> tuple[IntArray, list[str]]:
    """Labels (N,) and class names, in the order of the names, or by value if all are numbers."""
    known = {value for value in values if value not in ("", "-1")}
    all_numbers = all(value.isdecimal() for value in known)
    class_names = sorted(known)  # also orders 1 and 01
    if all_numbers:
        class_names.sort(key=int)
    number = {name: i for i, name in enumerate(class_names)}
    return np.array([number.get(value, -1) for value in values], dtype=np.int64), class_names
