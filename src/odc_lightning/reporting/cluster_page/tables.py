"""The clusters as tables for other programs: Parquet and CSV."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from odc_lightning.reporting.cluster_page.image_facts import ImageFacts
from odc_lightning.utils.tables import table_writer
from odc_lightning.utils.text import valid_utf8

COLUMNS = ("path", "cluster", "distance", "margin", "outlier_score", "second_choice")
_ROWS = 2**16  # written at once


def write_tables(folder: Path, images: ImageFacts) -> None:
    """Write ``clusters.parquet`` and ``clusters.csv``, one row per image in the order of the run.

    The CSV has the bytes of names that are not valid UTF-8 as they are. Parquet allows only UTF-8
    and has ``\\xff`` and the like in place of such bytes.

    Args:
        folder: for both files.
        images: facts of N images.
    """
    measures = images.measures
    names = images.clustered.names()
    columns = (
        images.clustered.labels,
        measures.distance,
        measures.margin,
        images.scores,
        measures.second,
    )
    schema = pa.schema(
        [
            ("path", pa.string()),
            ("cluster", pa.int64()),
            ("distance", pa.float32()),
            ("margin", pa.float32()),
            ("outlier_score", pa.float32()),
            ("second_choice", pa.int64()),
        ]
    )
    with (
        pq.ParquetWriter(folder / "clusters.parquet", schema) as parquet,
        table_writer(folder / "clusters.csv", COLUMNS) as write,
    ):
        for start in range(0, len(names), _ROWS):
            rows = slice(start, start + _ROWS)
            own = [names[index] for index in range(*rows.indices(len(names)))]
            values = [column[rows] for column in columns]
            parquet.write_table(
                pa.table([[valid_utf8(name) for name in own], *values], schema=schema)
            )
            write(
                (name, cluster, f"{distance:.6f}", f"{margin:.6f}", f"{score:.4f}", second)
                for name, cluster, distance, margin, score, second in zip(
                    own, *(column.tolist() for column in values), strict=True
                )
            )
