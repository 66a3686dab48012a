"""Temporary file for rows that do not fit into memory."""

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from odc_lightning.utils.room import reserve


@contextmanager
def scratch_rows(batches: Iterable[Tensor], num_rows: int, folder: Path | None) -> Iterator[Tensor]:
    """Write the rows of some batches to disk and map them as one tensor.

    Args:
        batches: (B, F) fp32 each; F is that of the first batch.
        num_rows: total number of rows.
        folder: folder of the file; None is the system's temporary folder.

    Yields:
        (num_rows, F) fp32 on the CPU. The file has no name, so it disappears with the process, even
        after a crash.

    Raises:
        ValueError: if the disk has too little room, the folder cannot be written, or the number of
            rows is not ``num_rows``.
    """
    batches = iter(batches)
    first = next(batches)
    size = num_rows * first.shape[1] * 4
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed below
    except OSError as error:
        raise ValueError(
            f"features cannot be written to {folder or tempfile.gettempdir()}: {error}; set "
            "another folder (algorithm.offline_clustering.scratch_dir)"
        ) from error
    with file:
        try:
            reserve(file.fileno(), size)
        except OSError as error:
            raise ValueError(
                f"the features of an epoch need {size / 1e9:.1f} GB in "
                f"{folder or tempfile.gettempdir()}: {error}; set a folder on another disk "
                "(algorithm.offline_clustering.scratch_dir)"
            ) from error
        rows = torch.from_numpy(np.memmap(file, np.float32, "r+", shape=(num_rows, first.shape[1])))
        written = 0
        for batch in itertools.chain([first], batches):
            rows[written : written + len(batch)] = batch
            written += len(batch)
        if written != num_rows:
            raise ValueError(f"got {written} rows of features, expected {num_rows}")
        yield rows
