"""The clusters as a table, for other programs: Parquet and CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from odc_lightning.reporting.cluster_page.measures import Measures
from odc_lightning.utils.arrays import FloatArray, IntArray
from odc_lightning.utils.text import valid_utf8

COLUMNS = ("path", "cluster", "distance", "margin", "outlier_score", "second_choice")
_ROWS = 2**16  # written at once


def write_tables(
    folder: Path, names: Sequence[str], labels: IntArray, measures: Measures, scores: FloatArray
) -> None:
    """Write ``clusters.parquet`` and ``clusters.csv``, a row an image in the order of the run.

    Names that are not valid UTF-8 leave the CSV as the bytes they were; Parquet knows only UTF-8
    and has ``\\xff`` in the place of each such byte.

    Args:
        folder: for both files.
        names: (N,).
        labels: (N,) clusters.
        measures: of the images.
        scores: (N,) outlier scores.
    """
    columns = (labels, measures.distance, measures.margin, scores, measures.second)
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
        (folder / "clusters.csv").open(
            "w", newline="", encoding="utf-8", errors="surrogateescape"
        ) as file,
    ):
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for start in range(0, len(names), _ROWS):
            rows = slice(start, start + _ROWS)
            own = [names[index] for index in range(*rows.indices(len(names)))]
            values = [column[rows] for column in columns]
            parquet.write_table(
                pa.table([[valid_utf8(name) for name in own], *values], schema=schema)
            )
            writer.writerows(
                (name, cluster, f"{distance:.6f}", f"{margin:.6f}", f"{score:.4f}", second)
                for name, cluster, distance, margin, score, second in zip(
                    own, *(column.tolist() for column in values), strict=True
                )
            )
