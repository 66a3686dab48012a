"""Removal of a run that a new one replaces in the same folder (``overwrite=true``)."""

import shutil
from pathlib import Path

# All that a training writes and that a new run would not replace at its start. Other files in the
# folder stay: logs of TensorBoard and W&B, reports, assignments, exports, and files of the user.
FILES = (
    *("checkpoints/*.ckpt", "contact_sheets/*.png", "not_finite/*.pt", "metrics.csv"),
    *("index.csv", "clusters.csv", "curves.png", "pretrained.csv", "summary.json", "failed.txt"),
)
# Folders: images and features that other commands keep beside the network, the first answer, the
# page of the clusters.
FOLDERS = ("reference", "start", "clusters")


def remove_run(folder: Path) -> None:
    """Delete `FILES` and `FOLDERS` in a run's folder."""
    for pattern in FILES:
        for file in folder.glob(pattern):
            file.unlink()
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
