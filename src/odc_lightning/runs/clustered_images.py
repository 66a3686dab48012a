"""What a finished run knows of its images: names, clusters, features, centroids, classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.checkpoints import TrainingRun, read_checkpoint
from odc_lightning.clustering import cluster_means
from odc_lightning.data import ImageSource
from odc_lightning.data.subset import subset_of

IntArray = NDArray[np.int64]


@dataclass
class Clustered:
    """N images in C clusters.

    Attributes:
        source: the images, in the order of the run; one that is gone cannot be loaded.
        labels: (N,) the cluster of each image.
        features: (N, D) of any float type, perhaps on disk: take `rows` of it.
        centroids: (C, D) fp32.
    """

    source: ImageSource
    labels: IntArray
    features: Tensor
    centroids: Tensor

    @property
    def num_clusters(self) -> int:
        """C, empty ones included."""
        return len(self.centroids)

    def rows(self, indices: IntArray) -> Tensor:
        """Features (B, D) fp32 of some images."""
        return self.features[torch.from_numpy(indices)].float()


class RunImages(ImageSource):
    """The images of a run by the names that it wrote down; loading one that is gone fails."""

    def __init__(self, source: ImageSource, names: Sequence[str]) -> None:
        """Look up each name.

        Args:
            source: the images as they are today.
            names: N, of `index.csv`.
        """
        rows = {source.name(index): index for index in range(len(source))}
        self.source = source
        self.names = names
        self.found = [rows.get(name) for name in names]
        self.class_names = source.class_names
        if source.labels is not None:
            known = [-1 if row is None else int(source.labels[row]) for row in self.found]
            self.labels = np.array(known, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> Image.Image:
        row = self.found[index]
        if row is None:
            raise ValueError(f"{self.names[index]} is not there any more")
        return self.source.load(row)

    def name(self, index: int) -> str:
        return self.names[index]

    def path(self, index: int) -> Path | None:
        row = self.found[index]
        return None if row is None else self.source.path(row)


def read_clusters(run: TrainingRun, data: DictConfig) -> Clustered:
    """The run's clustering as its checkpoint has it, with its images as they are today.

    Args:
        run: to read.
        data: the config of its data, which is built: look at its targets before.

    Raises:
        ValueError: the run keeps no features, or the images are others than it was trained on.
    """
    state = _clustering(read_checkpoint(run.checkpoint).get("callbacks", {}), run)
    labels: IntArray = state["labels"].numpy()
    source = images_of_run(build_images(data), run.image_names(), len(labels))
    if "features" in state:
        return Clustered(source, labels, state["features"], state["centroids"].float())
    features = normalize(state["banks"].float().mean(dim=0), dim=1)
    centroids = cluster_means(features, state["labels"], int(labels.max()) + 1)
    return Clustered(source, labels, features, centroids)


def build_images(data: DictConfig) -> ImageSource:
    """The training images, without validation, transforms and scan."""
    source: ImageSource = instantiate(data.train)()
    return source if data.get("subset") is None else subset_of(source, **data.subset)


def images_of_run(
    source: ImageSource, names: Sequence[str] | None, num_samples: int
) -> ImageSource:
    """The images in the order of the run.

    Args:
        source: as they are today.
        names: as the run wrote them down; None if it did not.
        num_samples: N of the clustering.

    Raises:
        ValueError: there is not one image for each label, or none of the run's is there.
    """
    if names is None:
        if len(source) != num_samples:
            raise ValueError(
                f"the run clustered {num_samples} images and data has {len(source)}; it wrote no "
                "index.csv, so nobody knows which is which. Give it the images of the run: "
                "data.root=..."
            )
        return source
    if len(names) != num_samples:
        raise ValueError(
            f"index.csv of the run names {len(names)} images and its checkpoint clusters "
            f"{num_samples}; expected those of one run"
        )
    images = RunImages(source, names)
    if all(row is None for row in images.found):
        raise ValueError(
            f"none of the run's {num_samples} images is there, for example {names[0]}; give it the "
            "folder that they are in now: +data.root=..."
        )
    return images


def _clustering(callbacks: Mapping[str, Any], run: TrainingRun) -> dict[str, Tensor]:
    """The state of the callback that clusters, with its features."""
    states = [state for state in callbacks.values() if isinstance(state, dict)]
    for needed in ({"labels", "features", "centroids"}, {"labels", "banks"}):
        for state in states:
            if needed <= state.keys():
                return state
    if any("labels" in state for state in states):
        raise ValueError(
            f"{run.folder} has clusters and no features of its images, as runs of DeepCluster "
            "have; its clusters.csv tells the cluster of every image. Expected a run of ODC or of "
            "DeepCluster-v2"
        )
    raise ValueError(
        f"{run.folder} has no clusters in {run.checkpoint.name}; expected a run of ODC or of "
        "DeepCluster-v2 that went at least to its first checkpoint"
    )
