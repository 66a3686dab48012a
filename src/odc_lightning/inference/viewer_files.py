"""Files that other programs show as a map: TensorBoard's Embedding Projector, embedding-atlas."""

import json
import math
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from odc_lightning.data import ImageSource
from odc_lightning.inference.table_files import features_of
from odc_lightning.inference.table_parts import Parts, Writer
from odc_lightning.reporting.figures.thumbnails import thumbnail
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.tables import as_cell
from odc_lightning.utils.text import printable
from odc_lightning.utils.threads import in_threads

Viewer = Literal["projector", "atlas"]
VIEWERS = get_args(Viewer)
ATLAS = "embedding.parquet"

SPRITE_SIDE = 8192  # pixels: the Embedding Projector shows no larger picture
LARGEST_IN_SPRITE = 64  # pixels
SIDE = 128  # pixels, of a picture in Parquet
QUALITY = 82
_AT_ONCE = 16  # images of a thread


def write_for_viewer(
    viewer: Viewer, layer: str, source: ImageSource, clusters: IntArray | None
) -> dict[str, Writer]:
    """The names and writers of a viewer's files, for parts made by `features_table`.

    Args:
        viewer: ``"projector"`` is a folder for ``tensorboard --logdir``; the files can also be
            loaded on projector.tensorflow.org. ``"atlas"`` is one file for ``embedding-atlas``.
        layer: of the features.
        source: the N images.
        clusters: (N,) of the images; None if they have none.
    """
    if viewer == "projector":
        return {
            "vectors.tsv": _write_vectors,
            "metadata.tsv": partial(_write_metadata, clusters=clusters),
            "sprite.jpg": partial(_write_sprite, source=source),
            "projector_config.pbtxt": partial(_write_config, layer=layer),
        }
    return {ATLAS: partial(_write_atlas, source=source, clusters=clusters)}


def side_in_sprite(num_images: int) -> int:
    """The side of a picture in pixels, so that all fit the largest sprite."""
    return max(1, min(LARGEST_IN_SPRITE, SPRITE_SIDE // _columns(num_images)))


def _columns(num_images: int) -> int:
    """Pictures in a row of the sprite, which is about square."""
    return math.ceil(math.sqrt(num_images))


def _write_vectors(path: Path, parts: Parts) -> None:
    """Write one line per image: its features, with six significant digits."""
    with path.open("w", encoding="utf-8") as file:
        for table in parts:
            for row in features_of(table).tolist():
                file.write("\t".join([f"{value:.6g}" for value in row]) + "\n")


def _write_metadata(path: Path, parts: Parts, clusters: IntArray | None) -> None:
    """Write one line per image: its name, and its cluster.

    The Embedding Projector splits lines at tabs and knows no quotes. It expects a header if there
    is more than one column, and none otherwise. It colours up to 50 clusters one by one, and more
    by a scale only if they are numbers.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        if clusters is not None:
            file.write("path\tcluster\n")
        for start, table in _with_starts(parts):
            for row, name in enumerate(table["path"].to_pylist(), start=start):
                cells = [as_cell(printable(name))]
                cells += [] if clusters is None else [str(clusters[row])]
                file.write("\t".join(cells) + "\n")


def _write_sprite(path: Path, parts: Parts, source: ImageSource) -> None:
    """Write small pictures of all images, row by row."""
    side, columns = side_in_sprite(len(source)), _columns(len(source))
    rows = math.ceil(len(source) / columns)
    sprite = Image.new("RGB", (columns * side, rows * side))
    for start, table in _with_starts(parts):
        for number, picture in enumerate(_pictures(source, start, len(table), side), start):
            sprite.paste(picture, (number % columns * side, number // columns * side))
    sprite.save(path, quality=QUALITY)


def _write_config(path: Path, parts: Parts, layer: str) -> None:
    """Write where TensorBoard finds the other files: a ``ProjectorConfig`` as protobuf text."""
    side = side_in_sprite(parts.num_rows)
    lines = [
        "embeddings {",
        f"  tensor_name: {json.dumps(layer)}",
        '  tensor_path: "vectors.tsv"',
        '  metadata_path: "metadata.tsv"',
        "  sprite {",
        '    image_path: "sprite.jpg"',
        f"    single_image_dim: [{side}, {side}]",
        "  }",
        "}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_atlas(path: Path, parts: Parts, source: ImageSource, clusters: IntArray | None) -> None:
    """Write paths, clusters, pictures and features, with a row group for each part."""
    writer: pq.ParquetWriter | None = None
    for start, table in _with_starts(parts):
        if clusters is not None:
            # As text, because embedding-atlas colours numbers by a scale.
            own = [str(cluster) for cluster in clusters[start : start + len(table)].tolist()]
            table = table.add_column(1, "cluster", pa.array(own))
        images = [_jpeg(each) for each in _pictures(source, start, len(table), SIDE)]
        table = table.add_column(table.num_columns - 1, "image", pa.array(images, pa.binary()))
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None  # every table has rows
    writer.close()


def _with_starts(parts: Parts) -> Iterator[tuple[int, pa.Table]]:
    """Each part with the number of its first row."""
    return ((number * parts.size, table) for number, table in enumerate(parts))


def _pictures(source: ImageSource, start: int, count: int, side: int) -> list[Image.Image]:
    """Square pictures of ``count`` images from ``start``; a crossed square if one is damaged."""

    def make(index: int) -> Image.Image:
        return thumbnail(source, index, side).picture

    return in_threads(make, range(start, start + count), _AT_ONCE)


def _jpeg(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
