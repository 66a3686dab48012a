"""A list of image files as a source."""

from __future__ import annotations

import os
from pathlib import Path

from odc_lightning.data.datasets.folders import existing_folder
from odc_lightning.data.labels import number_labels
from odc_lightning.data.lists import Listed, read_list
from odc_lightning.data.sources import FileSource


def file_list(path: str, root: str | None = None) -> FileSource:
    """The images that a text file lists, in the order of the list.

    The file is CSV whose first line names the columns, such as `path,label`, or plain text with
    one path per line; see `odc_lightning.data.lists`. Paths are relative to `root`, or to the
    folder of the list if `root` is None.

    Raises:
        ValueError: if the list is missing, empty or not such a list, or gives an image two labels.
    """
    listing = Path(path).expanduser()
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
