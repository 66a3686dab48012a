"""Rows that are too many for memory: in a file that is gone when they are no longer needed."""

import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


@contextmanager
def scratch_rows(batches: Iterable[Tensor], num_rows: int, folder: Path | None) -> Iterator[Tensor]:
    """All rows of some batches as one tensor that lies on disk.

    Args:
        batches: each (B, F) fp32; the first one tells F.
        num_rows: how many rows come.
        folder: where the file is; None is the system's folder for such files.

    Yields:
        (num_rows, F) fp32 on the CPU. Its file has no name, so that nothing stays behind, whatever
        happens.

    Raises:
        ValueError: if the disk has too little room, the folder cannot be written, or other than
            ``num_rows`` rows came.
    """
    batches = iter(batches)
    first = next(batches)
    size = num_rows * first.shape[1] * 4
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # below
    except OSError as error:
        raise ValueError(
            f"no features can be written to {folder or tempfile.gettempdir()}: {error}; choose "
            "another folder (algorithm.offline_clustering.scratch_dir)"
        ) from error
    with file:
        try:
            reserve(file.fileno(), size)
        except OSError as error:
            raise ValueError(
                f"the features of an epoch need {size / 1e9:.1f} GB in "
                f"{folder or tempfile.gettempdir()}: {error}; choose another disk "
                "(algorithm.offline_clustering.scratch_dir)"
            ) from error
        rows = torch.from_numpy(np.memmap(file, np.float32, "r+", shape=(num_rows, first.shape[1])))
        written = 0
        for batch in itertools.chain([first], batches):
            rows[written : written + len(batch)] = batch
            written += len(batch)
        if written != num_rows:
            raise ValueError(f"{written} rows of features came, expected {num_rows}")
        yield rows


def reserve(descriptor: int, size: int) -> None:
    """Have the disk's blocks now: a mapped file that finds none later kills the process.

    Args:
        descriptor: of an open file.
        size: in bytes.

    Raises:
        OSError: if the disk has too little room.
    """
    if hasattr(os, "posix_fallocate"):  # not on macOS
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)
