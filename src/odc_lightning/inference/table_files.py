"""The final files of a table: Parquet, CSV, NumPy arrays."""

import json
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from odc_lightning.inference.table_parts import Parts, Writer
from odc_lightning.utils.tables import table_writer
from odc_lightning.utils.text import valid_utf8

Format = Literal["parquet", "npy", "memmap"]
FORMATS = get_args(Format)


def features_table(names: list[str], features: NDArray[np.float32]) -> pa.Table:
    """A table with the columns ``path`` and ``features``, a list of fixed length.

    Args:
        names: B names of images.
        features: (B, width).
    """
    width = features.shape[1]
    flat = pa.array(np.ascontiguousarray(features, np.float32).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, width)
    return pa.table({"path": pa.array(list(map(valid_utf8, names))), "features": column})


def features_of(table: pa.Table) -> NDArray[np.float32]:
    """The features (B, width) of a `features_table`."""
    column = table["features"].combine_chunks()
    rows: NDArray[np.float32] = column.values.to_numpy(zero_copy_only=False)
    # A slice of a list column keeps all of its values.
    return rows.reshape(-1, column.type.list_size)[column.offset : column.offset + len(column)]


def write_parquet(path: Path, parts: Parts) -> None:
    """Write one Parquet file with a row group for each part."""
    writer: pq.ParquetWriter | None = None
    for table in parts:
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None  # every table has rows
    writer.close()


def write_csv(path: Path, parts: Parts) -> None:
    """Write all columns, below a header line."""
    header = next(iter(parts)).column_names
    with table_writer(path, header) as write:
        for table in parts:
            columns = [_texts(table[name]) for name in header]
            write(zip(*columns, strict=True))


def write_features(form: Format) -> dict[str, Writer]:
    """The names and writers of a format's files, for parts made by `features_table`.

    Args:
        form: ``"parquet"`` is one file. ``"npy"`` is an array (N, width) float32, which
            ``numpy.load(..., mmap_mode="r")`` maps, and a list of the paths. ``"memmap"`` is the
            same without NumPy's header, with the shape in a file of its own.
    """
    if form == "parquet":
        return {"features.parquet": write_parquet}
    if form == "npy":
        return {"features.npy": partial(_write_rows, header=True), "paths.csv": _write_paths}
    return {
        "features.f32": partial(_write_rows, header=False),
        "features.json": _write_shape,
        "paths.csv": _write_paths,
    }


def _write_rows(path: Path, parts: Parts, header: bool) -> None:
    with path.open("wb") as file:
        for number, table in enumerate(parts):
            rows = features_of(table).astype("<f4", copy=False)
            if number == 0 and header:
                about = {"descr": "<f4", "fortran_order": False, "shape": _shape(parts, rows)}
                np.lib.format.write_array_header_1_0(file, about)
            file.write(rows.data)


def _write_shape(path: Path, parts: Parts) -> None:
    shape = _shape(parts, features_of(next(iter(parts))))
    path.write_text(json.dumps({"dtype": "<f4", "shape": shape}) + "\n", encoding="utf-8")


def _write_paths(path: Path, parts: Parts) -> None:
    with table_writer(path, ["path"]) as write:
        for table in parts:
            write([name] for name in table["path"].to_pylist())


def _shape(parts: Parts, rows: NDArray[np.float32]) -> tuple[int, int]:
    return parts.num_rows, rows.shape[1]


def _texts(column: pa.ChunkedArray) -> list[Any]:
    """The values for a CSV file; floats have six significant digits."""
    if pa.types.is_floating(column.type):
        return [f"{value:.6g}" for value in column.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values
