"""Atomic writing of checkpoints, and the choice of the one from which a run resumes."""

import logging
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from odc_lightning.checkpoints.read import KEPT, first_damaged_part, read_checkpoint

log = logging.getLogger(__name__)
SAVED_AT = "saved_at"  # key of the time of saving, in seconds since 1970


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under another name, then renames it; the previous one is kept.

    Once the first checkpoint is written, ``last.ckpt`` is always complete, even after a power
    failure. The previous checkpoint stays as ``last.previous.ckpt``, in case the disk damages the
    newest.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write the checkpoint, wait until it is on the disk, then rename it.

        Raises:
            ValueError: if it cannot be written; the previous checkpoint is then untouched.
        """
        if "://" in str(path):  # not a local disk; fsspec has its own transactions
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        write_checkpoint({**checkpoint, SAVED_AT: time.time()}, Path(path), keep_previous=True)


def write_checkpoint(content: dict[str, Any], path: Path, keep_previous: bool = False) -> None:
    """Write a checkpoint, wait until it is on the disk, then rename it.

    Args:
        content: tensors and plain types.
        path: of the file; its folder is made.
        keep_previous: keep a former file of this name as `previous`.

    Raises:
        ValueError: if it cannot be written; a former file is then untouched.
    """
    unfinished = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        if keep_previous and path.exists():
            _keep(path)
        unfinished.replace(path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        unfinished.unlink(missing_ok=True)
        raise ValueError(_not_written(path, error)) from error


def _keep(path: Path) -> None:
    """Link a file as the previous checkpoint, or rename it if the disk has no hard links."""
    link = path.with_name(f"{path.name}.link")
    try:
        link.unlink(missing_ok=True)
        os.link(path, link)
    except OSError:
        path.replace(previous(path))
    else:
        link.replace(previous(path))


def previous(path: Path) -> Path:
    """The path to which a checkpoint moves when a newer one replaces it."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def newest_whole(folder: Path) -> Path | None:
    """The newest complete checkpoint in a folder, or None if the folder has none.

    Damaged files are skipped with a warning. The time of saving is read from the checkpoint:
    modification times change when a folder is copied.
    """
    candidates: list[tuple[float, int, Path]] = []
    for path in folder.glob("*.ckpt"):
        if path.name == KEPT:
            continue  # no run can resume from it
        try:
            content = read_checkpoint(path, option=None, whole=False)
            candidates.append((content.get(SAVED_AT, 0.0), _step(path, content), path))
        except ValueError as error:
            log.warning("skipping %s: %s", path, error)
    for _, _, path in sorted(candidates, reverse=True):
        damaged = first_damaged_part(path)
        if damaged is None:
            return path
        log.warning("skipping %s: its part %s is damaged", path, damaged)
    return None


def check_whole(checkpoint: Path) -> None:
    """Read the whole file and verify its checksums, which only zip archives have.

    Raises:
        ValueError: if it is damaged.
    """
    damaged = first_damaged_part(checkpoint) if zipfile.is_zipfile(checkpoint) else None
    if damaged is not None:
        raise ValueError(
            f"{checkpoint} is damaged: the checksum of its part {damaged} is wrong; use another "
            "checkpoint of the run"
        )


def step_of(checkpoint: Path) -> int:
    """The number of optimiser steps (``global_step``) at which a checkpoint was saved.

    Raises:
        ValueError: if the file is not a checkpoint of a training run.
    """
    return _step(checkpoint, read_checkpoint(checkpoint, option=None, whole=False))


def epochs_of(checkpoint: Path) -> tuple[int, int]:
    """The numbers of epochs that were completed and started when a checkpoint was saved.

    Raises:
        ValueError: if the file is not a checkpoint of a training run.
    """
    content = read_checkpoint(checkpoint, option=None, whole=False)
    try:
        epochs = content["loops"]["fit_loop"]["epoch_progress"]["current"]
        return int(epochs["processed"]), int(epochs["started"])
    except (KeyError, TypeError):
        raise _of_no_run(checkpoint) from None


def _step(checkpoint: Path, content: dict[str, Any]) -> int:
    step = content.get("global_step")
    if not isinstance(step, int):
        raise _of_no_run(checkpoint)
    return step


def _of_no_run(checkpoint: Path) -> ValueError:
    return ValueError(
        f"{checkpoint} is not a checkpoint of a training run, so no run can resume from it; to "
        "start a run with its weights, use model.pretrained=FILE"
    )


def _sync_folder(folder: Path) -> None:
    """Wait until the new file names are on the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_written(path: Path, error: Exception) -> str:
    there = path.parent if path.parent.is_dir() else path.anchor or "."
    kept = f"; the last good one is {path}" if path.is_file() else ""
    return (
        f"no checkpoint could be written to {path}: {error} "
        f"({shutil.disk_usage(there).free / 1e9:.1f} GB free){kept}. Free some space and resume "
        "with train.resume=auto and the same hydra.run.dir, or resume elsewhere with "
        f"ckpt_path={path}"
    )
