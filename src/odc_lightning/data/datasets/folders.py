"""Image files as sources: a folder with any sub-folders, a list of files, or ImageNet."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from odc_lightning.data.files.labels import number_classes, number_labels
from odc_lightning.data.files.lists import Listed, read_list
from odc_lightning.data.files.patterns import HIDDEN
from odc_lightning.data.files.search import find_images
from odc_lightning.data.sources import FileSource
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.home import expanded

_WNID = re.compile(r"n\d{8}")  # the names of ImageNet's class folders


def image_folder(
    root: str,
    labels_from_folder: bool = False,
    exclude: Sequence[str] | None = HIDDEN,
    names: Sequence[str] | None = None,
) -> FileSource:
    """Every image at any depth below `root`, sorted by path; no labels are needed.

    Args:
        labels_from_folder: use the name of the folder that contains an image as its class, for
            scoring.
        exclude: names and patterns to pass over, see `odc_lightning.data.files.patterns.Patterns`.
        names: take the images of these names instead of searching; they need not exist.

    Raises:
        ValueError: if `root` is not a folder or has no images, or with `labels_from_folder` if
            images lie directly in `root`.
    """
    folder = existing_folder(root)
    passed = None
    if names is None:
        names, passed = find_images(folder, exclude)
        if not names:
            raise ValueError(
                f"no images below {folder}; expected at least one. "
                + (f"{passed}. " if str(passed) else "")
                + "Is it the right folder?"
            )
    labels: tuple[IntArray, list[str]] | tuple[()] = ()
    if labels_from_folder:
        parents = _parents(names, folder)
        labels = number_classes([None if parent == "-1" else parent for parent in parents])
    source = FileSource(folder, names, *labels)
    source.passed_over = passed
    return source


def imagenet(
    root: str, exclude: Sequence[str] | None = HIDDEN, names: Sequence[str] | None = None
) -> FileSource:
    """ImageNet's `train` or `val` folder, with one sub-folder per class (`n01440764`, ...).

    Args:
        exclude, names: see `image_folder`.

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
    return image_folder(root, True, exclude, names)


def file_list(path: str, root: str | None = None) -> FileSource:
    """The images that a text file lists, in the order of the list.

    The file is CSV whose first line names the columns, such as `path,label`, or plain text with
    one path per line; see `odc_lightning.data.files.lists`. Paths are relative to `root`, or to the
    folder of the list if `root` is None.

    Raises:
        ValueError: if the list is missing, empty or not such a list, or gives an image two labels.
    """
    listing = expanded(path)
    if not listing.is_file():
        raise ValueError(f"data.train.path={listing} is not a file; expected a list of images")
    folder = existing_folder(root) if root is not None else listing.parent
    rows = read_list(listing, lambda name: _is_file(folder / name))
    if not rows:
        raise ValueError(f"file list {listing} names no images; expected one path per line")
    names = [row.path for row in rows]
    numbered = number_labels([row.label for row in rows if row.label is not None])
    if numbered is None:
        return FileSource(folder, names)
    labels, class_names = numbered
    _refuse_two_labels(listing, rows, labels.tolist(), class_names)
    return FileSource(folder, names, labels, class_names)


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


def _parents(names: Sequence[str], folder: Path) -> list[str]:
    """The folder of each image, which is its class."""
    parents = [PurePath(name).parent.as_posix() for name in names]
    if "." in parents:
        raise ValueError(
            f"labels_from_folder=true, but {parents.count('.')} images lie directly in {folder}, "
            f"for example {names[parents.index('.')]}; expected each one in the folder of its class"
        )
    return parents


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long, or the folder may not be read
        return False


def _refuse_two_labels(
    listing: Path, rows: list[Listed], labels: list[int], class_names: list[str]
) -> None:
    """Refuse a list that gives one image two known labels."""
    first: dict[str, tuple[int, int]] = {}
    for row, label in zip(rows, labels, strict=True):
        if label < 0:
            continue
        line, known = first.setdefault(os.path.normpath(row.path), (row.line, label))
        if known != label:
            raise ValueError(
                f"{listing}: {row.path} has the label {class_names[known]} in line {line}, and "
                f"{class_names[label]} in line {row.line}; expected one label of each image"
            )
