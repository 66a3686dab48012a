"""Names of images from a table: a person's own, or the ``labels.csv`` of `odc label`."""

import csv
from pathlib import Path

from odc_lightning.naming.given_names import FORMAT, VERSION, GivenNames, as_given_names
from odc_lightning.naming.named_images import Source
from odc_lightning.naming.tables import SOURCES
from odc_lightning.utils.home import expanded
from odc_lightning.utils.tables import from_cell
from odc_lightning.utils.text import printable

PATH, LABEL, SOURCE = "path", "label", "source"
_SAYS_RUBBISH = (SOURCES[Source.PERSON], SOURCES[Source.CLUSTER])


def read_label_table(path: Path | str) -> GivenNames:
    """Read the names of images from a CSV table with the columns ``path`` and ``label``.

    An empty label is none, or rubbish if its ``source`` is a person or a cluster, as `odc label`
    writes it. The guesses of a classifier are left out, since a network that learns them only
    confirms them.

    Raises:
        ValueError: the file is missing or lacks a column, a cell or any name, or an image has two
            names.
    """
    file = expanded(path)
    if not file.is_file():
        raise ValueError(
            f"labels={printable(file)} is not a file; expected the labels.json of the page of odc "
            "clusters, or a CSV table with the columns path and label"
        )
    try:
        content = {"format": FORMAT, "version": VERSION, "images": _images_of(file)}
        return as_given_names(content)
    except (ValueError, csv.Error) as error:
        raise ValueError(f"labels={printable(file)}: {error}") from error


def _images_of(file: Path) -> dict[str, str | None]:
    images: dict[str, str | None] = {}
    with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as opened:
        reader = csv.DictReader(opened)
        header = reader.fieldnames or []
        if not {PATH, LABEL} <= set(header):
            raise ValueError(
                f"its columns are {','.join(header)!r}; expected path and label, and perhaps others"
            )
        for row in reader:
            image, label = row[PATH], row[LABEL]
            if image is None or label is None:
                raise ValueError(f"line {reader.line_num} has too few cells")
            source = row.get(SOURCE) or ""
            if source == SOURCES[Source.CLASSIFIER]:
                continue
            if not label.strip() and source not in _SAYS_RUBBISH:
                continue
            image, name = from_cell(image), from_cell(label) if label.strip() else None
            if images.setdefault(image, name) != name:
                raise ValueError(
                    f"{printable(image)} has the names {images[image]!r} and {name!r}; expected one"
                )
    if not images:
        raise ValueError("it names no image; expected labels of a person or of clusters")
    return images
