"""Checkpoints that are whole or are not there, and which of several a run goes on from."""

import logging
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from odc_lightning.checkpoints.read import read_checkpoint

log = logging.getLogger(__name__)
SAVED_AT = "saved_at"  # the key of seconds since 1970


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint under another name first; the one that it replaces stays beside it.

    Whatever happens, the power included, ``last.ckpt`` is a whole checkpoint from the first on. The
    one before stays as ``last.previous.ckpt``, in case the disk damages the newest.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write, wait until the disk has it, and then rename.

        Raises:
            ValueError: if it cannot be written; what was there before is there still.
        """
        if "://" in str(path):  # no disk; fsspec's transactions are all that there is
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        path = Path(path)
        unfinished = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                torch.save({**checkpoint, SAVED_AT: time.time()}, file)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                _keep(path)
            unfinished.replace(path)
            _sync_folder(path.parent)
        except (OSError, RuntimeError) as error:
            unfinished.unlink(missing_ok=True)
            raise ValueError(_not_written(path, error)) from error


def _keep(path: Path) -> None:
    """Let a file have the name of the one before too, or that alone where a disk has no links."""
    link = path.with_name(f"{path.name}.link")
    try:
        link.unlink(missing_ok=True)
        os.link(path, link)
    except OSError:
        path.replace(previous(path))
    else:
        link.replace(previous(path))


def previous(path: Path) -> Path:
    """Where the checkpoint goes that is replaced by a newer one."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def newest_whole(folder: Path) -> Path | None:
    """The checkpoint that was saved last in a folder, of those that are whole.

    Those that are damaged are passed over, with a warning. A file's own time does not count: a copy
    of a folder has others.

    Returns:
        None if there is none.
    """
    found: list[tuple[float, int, Path]] = []
    for path in folder.glob("*.ckpt"):
        try:
            content = read_checkpoint(path, option="ckpt_path")
            found.append((content.get(SAVED_AT, 0.0), _step(path, content), path))
        except ValueError as error:
            log.warning("%s is passed over: %s", path, error)
    for _, _, path in sorted(found, reverse=True):
        damaged = first_damaged_part(path)
        if damaged is None:
            return path
        log.warning("%s is passed over: its part %s is damaged", path, damaged)
    return None


def check_whole(checkpoint: Path) -> None:
    """Read the whole file, to see whether it is whole; only zip archives have checksums.

    Raises:
        ValueError: if it is damaged.
    """
    damaged = first_damaged_part(checkpoint) if zipfile.is_zipfile(checkpoint) else None
    if damaged is not None:
        raise ValueError(f"{checkpoint} is damaged: in its part {damaged}")


def step_of(checkpoint: Path) -> int:
    """The steps that a run had made.

    Raises:
        ValueError: if the file is not a run's.
    """
    return _step(checkpoint, read_checkpoint(checkpoint, option="ckpt_path"))


def _step(checkpoint: Path, content: dict[str, Any]) -> int:
    step = content.get("global_step")
    if not isinstance(step, int):
        raise ValueError(
            f"{checkpoint} is no checkpoint of a training run, which could go on from there; to "
            "start a run with its weights: model.pretrained=FILE"
        )
    return step


def first_damaged_part(path: Path) -> str | None:
    """The first part of a file of `torch.save` whose checksum (CRC-32) is wrong; None: all right.

    Reads the whole file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip()
    except Exception:  # damage shows in many ways, and none of them is a whole file
        return "(its table of contents)"


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has the new names too."""
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
        f"({shutil.disk_usage(there).free / 1e9:.1f} GB free){kept}. Make room and go on with "
        f"train.resume=auto and the same hydra.run.dir, or go on elsewhere with ckpt_path={path}"
    )
