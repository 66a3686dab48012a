"""Image files as sources: a folder with any sub-folders, or ImageNet."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NoReturn

from odc_lightning.data.images import image_extensions
from odc_lightning.data.labels import number_classes
from odc_lightning.data.sources import FileSource

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
            f"no images below data.root={folder}; expected at least one. Is it the right folder?"
        )
    if not labels_from_folder:
        return FileSource(folder, names)
    parents = [PurePath(name).parent.as_posix() for name in names]
    if "." in parents:
        raise ValueError(
            f"labels_from_folder=true, but {parents.count('.')} images lie directly in {folder}, "
            f"for example {names[parents.index('.')]}; expected each one in the folder of its class"
        )
    known = [None if parent == "-1" else parent for parent in parents]
    return FileSource(folder, names, *number_classes(known))


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


def existing_folder(root: str) -> Path:
    """`data.root` as a path, with `~` expanded.

    Raises:
        ValueError: if it is not a folder.
    """
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise ValueError(f"data.root={folder} is not a folder; expected the folder of the images")
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
