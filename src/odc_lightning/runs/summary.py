"""``summary.json``: the results of a run."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import pytorch_lightning
import torch
import torchvision

import odc_lightning
from odc_lightning.utils.json_file import read_json, write_json
from odc_lightning.utils.optional import import_faiss
from odc_lightning.utils.seals import check_seal, sealing

_NUMBER = (int, float)
_MAYBE = (int, float, type(None))
# The types of what `summary.json` holds.
TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("train_loss", "knn_top1", "nmi", "images_per_second"), _MAYBE),
    **dict.fromkeys(("label_switch_ratio_first", "label_switch_ratio_last"), _MAYBE),
    **dict.fromkeys(("kept_criterion", "start_criterion"), _MAYBE),
    **dict.fromkeys(("kept_epoch", "steps"), (int, type(None))),
    **dict.fromkeys(("chance_loss", "wall_seconds"), _NUMBER),
    **dict.fromkeys(("num_samples", "num_clusters"), (int,)),
    **dict.fromkeys(("untrained", "versions"), (dict,)),
    "targets": (str,),
    "pretrained": (str, type(None)),
}
# Keys that summaries of earlier versions do not have; null there.
LATER = ("kept_epoch", "kept_criterion", "start_criterion", "steps")


class Scores(TypedDict):
    """Agreement of features and clusters with the labels; None without labels."""

    knn_top1: float | None
    nmi: float | None


class Summary(TypedDict):
    """The contents of ``summary.json``; unknown values are None.

    ``steps`` are those of the optimiser. ``train_loss`` is the mean over the last epoch.
    ``chance_loss`` is the loss of the best prediction that is the same for every image.
    ``label_switch_ratio_first`` and ``_last`` belong to the first and the last epoch. ``targets``
    names what the network is trained to distinguish: ``clusters`` or, with supervision,
    ``classes``. ``knn_top1`` and ``nmi`` are in [0, 1]. ``untrained`` has the scores before
    training, of the network as initialised or as loaded from the checkpoint ``pretrained``.
    ``kept_epoch`` is that of the state with which the run ends by the guard, 0 for the start;
    ``kept_criterion`` and ``start_criterion`` belong to it and to the start. They are None without
    the guard.
    """

    steps: int | None
    train_loss: float | None
    chance_loss: float
    label_switch_ratio_first: float | None
    label_switch_ratio_last: float | None
    knn_top1: float | None
    nmi: float | None
    untrained: Scores
    pretrained: str | None
    kept_epoch: int | None
    kept_criterion: float | None
    start_criterion: float | None
    num_samples: int
    num_clusters: int
    targets: str
    images_per_second: float | None
    wall_seconds: float
    versions: dict[str, str | None]


def package_versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that affect a run's results; None if not installed."""
    try:
        faiss_version = import_faiss().__version__
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
    with sealing(Path(path)):
        write_json(path, summary)


def read_summary(path: Path | str) -> Summary:
    """Read what `write_summary` wrote.

    Raises:
        ValueError: the file is damaged, or changed after it was written.
    """
    check_seal(Path(path))
    content = read_json(path)
    try:
        content = {**dict.fromkeys(LATER), **content}
        wrong = [key for key, types in TYPES.items() if type(content[key]) not in types]
        if any(type(content["untrained"][key]) not in _MAYBE for key in ("knn_top1", "nmi")):
            wrong.append("untrained")
    except (KeyError, TypeError) as error:  # a key is missing, or it is not a mapping
        wrong = [str(error)]
    if wrong:
        raise ValueError(
            f"{path} is not the summary of a run: {', '.join(wrong)} is missing or of another "
            "type. Restore it from a copy, or delete it; the run then counts as unfinished"
        )
    summary: Summary = content
    return summary
