"""The names of images as files for other programs: CSV, Parquet, COCO-style JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odc_lightning.naming.completed import Completed
from odc_lightning.naming.named_images import Source
from odc_lightning.utils.tables import table_writer
from odc_lightning.utils.text import valid_utf8

COLUMNS = ("path", "label", "source", "guess", "probability")
SOURCES = {source: "" if source == Source.NOBODY else source.name.lower() for source in Source}


def write_tables(folder: Path, images: Sequence[str], completed: Completed) -> None:
    """Write ``labels.csv`` and ``labels.parquet``, one row per image in the order of the run.

    An empty label with a source is rubbish, one without a source is unknown. The guess and its
    probability are the classifier's, for images to which nobody else gave a name.

    Args:
        folder: for both files.
        images: names of N images.
        completed: of the images.
    """
    named = completed.named
    labels = [named.name_of(label) for label in named.labels.tolist()]
    sources = [SOURCES[Source(source)] for source in named.sources.tolist()]
    guesses = [named.name_of(label) for label in completed.guesses.tolist()]
    probabilities = completed.probabilities
    known = ~np.isnan(probabilities)
    with table_writer(folder / "labels.csv", COLUMNS) as write:
        shown = [
            f"{value:.4f}" if there else ""
            for value, there in zip(probabilities.tolist(), known.tolist(), strict=True)
        ]
        write(zip(images, labels, sources, guesses, shown, strict=True))
    columns = {
        "path": [valid_utf8(name) for name in images],
        "label": labels,
        "source": sources,
        "guess": guesses,
        "probability": pa.array(probabilities, pa.float64(), mask=~known),
    }
    pq.write_table(pa.table(columns), folder / "labels.parquet")


def write_coco(
    path: Path,
    images: Sequence[str],
    completed: Completed,
    sizes: Sequence[tuple[int, int] | None],
) -> None:
    """Write a COCO-style file: images, categories, and an annotation for each image with a name.

    Numbers of images and categories start at 1, as in COCO. Annotations have no boxes: each is of
    its whole image. ``score`` is the classifier's probability.

    Args:
        path: of the file.
        images: names of N images.
        completed: of the images.
        sizes: width and height of each image; None for one that cannot be read.
    """
    named = completed.named
    annotations: list[dict[str, Any]] = []
    for row in np.flatnonzero(named.labels >= 0).tolist():
        source = Source(named.sources[row])
        annotation: dict[str, Any] = {
            "id": len(annotations) + 1,
            "image_id": row + 1,
            "category_id": int(named.labels[row]) + 1,
            "source": SOURCES[source],
        }
        if source == Source.CLASSIFIER:
            annotation["score"] = round(float(completed.probabilities[row]), 4)
        annotations.append(annotation)
    content = {
        "images": [
            {"id": row + 1, "file_name": valid_utf8(name)}
            | ({} if size is None else {"width": size[0], "height": size[1]})
            for row, (name, size) in enumerate(zip(images, sizes, strict=True))
        ],
        "categories": [{"id": number + 1, "name": name} for number, name in enumerate(named.names)],
        "annotations": annotations,
    }
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
