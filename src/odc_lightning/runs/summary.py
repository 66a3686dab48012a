"""The numbers of a run in one JSON file."""

import importlib
import json
import platform
from pathlib import Path
from typing import TypedDict

import pytorch_lightning
import torch
import torchvision

import odc_lightning
from odc_lightning.utils.json_file import write_json


class Scores(TypedDict):
    """How well features and clusters agree with labels; None where there are no labels."""

    knn_top1: float | None
    nmi: float | None


class Summary(TypedDict):
    """What ``summary.json`` holds; None where a value is not known.

    ``train_loss`` is the mean over the last epoch, ``chance_loss`` the loss of the best prediction
    that is the same for every image, ``label_switch_ratio_first`` and ``_last`` are those over the
    first and the last one. ``targets`` is what the network was trained to tell apart, ``clusters``
    or, with supervision, ``classes``. ``knn_top1`` and ``nmi`` are in [0, 1]; ``untrained`` are
    those before training, of a network as initialised, or as the checkpoint ``pretrained`` has it.
    """

    train_loss: float | None
    chance_loss: float
    label_switch_ratio_first: float | None
    label_switch_ratio_last: float | None
    knn_top1: float | None
    nmi: float | None
    untrained: Scores
    pretrained: str | None
    num_samples: int
    num_clusters: int
    targets: str
    images_per_second: float | None
    wall_seconds: float
    versions: dict[str, str | None]


def package_versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that decide a run's numbers; None if not there."""
    try:
        faiss_version = importlib.import_module("faiss").__version__
    except ImportError:
        faiss_version = None
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "pytorch_lightning": pytorch_lightning.__version__,
        "faiss": faiss_version,
        "odc_lightning": odc_lightning.__version__,
    }


def write_summary(path: Path | str, summary: Summary) -> None:
    """Write the summary as JSON: the whole file or none of it, with null for NaN and infinity."""
    write_json(path, summary)


def read_summary(path: Path | str) -> Summary:
    """What `write_summary` has written."""
    summary: Summary = json.loads(Path(path).read_text(encoding="utf-8"))
    return summary
