"""Finished runs without a training: a config, a checkpoint with clusters, an index."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor

from helpers.run_folders import CONFIG
from odc_lightning.clustering import cluster_means
from odc_lightning.data import ArraySource, ImageSource
from odc_lightning.runs.clustered_images import ClusteredImages

# What somebody may have called their files.
HOSTILE = (
    "holiday 2024/été/plage à 5h.jpg",
    "<script>alert(1)<|script>.jpg".replace("|", "\u2215"),
    "quotes \" ' ` ${x} {{ y }}.jpg",
    "new\nline and \u2028 too.jpg",
    b"not utf-8 \xff\xe9.jpg".decode("utf-8", "surrogateescape"),
    "100% #1?&=+.jpg",
    "<img src=x onerror=alert(2)>.jpg",
)


def groups(
    num_samples: int, num_clusters: int, dim: int = 8, seed: int = 0
) -> tuple[Tensor, np.ndarray[Any, Any]]:
    """Features (N, D) around C far points, and the label (N,) of each."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(num_clusters, dim))
    labels = rng.permutation(np.arange(num_samples) % num_clusters)
    features = centres[labels] + 0.2 * rng.normal(size=(num_samples, dim))
    return torch.tensor(features, dtype=torch.float32), labels


def centroids_of(features: Tensor, labels: np.ndarray[Any, Any]) -> Tensor:
    """The mean (C, D) of each group; the last one is not empty."""
    return cluster_means(features, torch.from_numpy(labels), int(labels.max()) + 1)


def made_up(
    num_samples: int = 60, num_clusters: int = 5, classes: bool = True, seed: int = 0
) -> ClusteredImages:
    """Images of noise, in memory."""
    features, labels = groups(num_samples, num_clusters, seed=seed)
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (num_samples, 20, 24, 3), dtype=np.uint8)
    source: ImageSource = ArraySource(pixels, "noise", labels % 3 if classes else None)
    return ClusteredImages(source, labels, features, centroids_of(features, labels))


def write_images(root: Path, names: Sequence[str], size: tuple[int, int] = (48, 32)) -> None:
    """A picture for each name, all different."""
    rng = np.random.default_rng(1)
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8))
        with path.open("wb") as file:
            blocks.resize(size, Image.Resampling.NEAREST).save(file, "JPEG")


def write_run(
    folder: Path,
    root: Path,
    names: Sequence[str],
    features: Tensor,
    labels: np.ndarray[Any, Any],
    callbacks: dict[str, Any] | None = None,
    **data: Any,
) -> Path:
    """What a run on ``data=image_folder`` leaves.

    Args:
        folder: of the run.
        root: of the images.
        names: (N,) of the images.
        features: (N, D).
        labels: (N,).
        callbacks: of the checkpoint; None is a samples memory.
        data: keys of the config's data.
    """
    (folder / "checkpoints").mkdir(parents=True)
    train = {
        "_target_": "odc_lightning.data.image_folder",
        "_partial_": True,
        "root": str(root),
        "labels_from_folder": False,
    }
    config = {"name": "photos", "data": {"train": train, "subset": None, **data}}
    OmegaConf.save(OmegaConf.merge(CONFIG, config), folder / "config.yaml")
    with (folder / "index.csv").open(
        "w", newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        csv.writer(file, lineterminator="\r\n").writerows([("index", "path"), *enumerate(names)])
    if callbacks is None:
        callbacks = {
            "SamplesMemory": {
                "features": features,
                "labels": torch.from_numpy(labels),
                "centroids": centroids_of(features, labels),
            }
        }
    torch.save({"callbacks": callbacks}, folder / "checkpoints" / "last.ckpt")
    return folder
