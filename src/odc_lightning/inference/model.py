"""A trained run as an object that embeds images and assigns them to clusters."""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor, nn

from odc_lightning.checkpoints import (
    build,
    building,
    clustering_states,
    read_checkpoint,
    refuse_oversized,
    refuse_unknown_targets,
)
from odc_lightning.checkpoints.pretrained import check_values
from odc_lightning.data.checks import check_view
from odc_lightning.inference.inputs import Images
from odc_lightning.inference.network import EMBEDDING, TrainedNetwork
from odc_lightning.inference.reference import Reference, reference_of
from odc_lightning.inference.run_clusters import Assigned
from odc_lightning.models import Backbone
from odc_lightning.runs.find import find_run
from odc_lightning.utils.devices import usable_device


class TrainedModel(TrainedNetwork):
    """A run's network that also assigns images to the run's clusters."""

    def assign(self, images: Images, batch_size: int = 64) -> Assigned:
        """Assign images to clusters by the run's own metric; results are on the CPU.

        The first call reads the run's training images, see `reference`.

        Args:
            images, batch_size: see `embed`.

        Raises:
            ValueError: the run has no clusters, or its images are missing.
        """
        return self.reference.clusters.assign(self.embed(images, EMBEDDING, batch_size))

    @cached_property
    def reference(self) -> Reference:
        """Clusters and training images of the run to compare with, kept in the run's folder.

        Raises:
            ValueError: see `assign`.
        """
        return reference_of(self)


def load(
    run: Path | str,
    *,
    device: torch.device | str | None = None,
    images: Path | str | None = None,
    max_pixels: int | None = None,
    checkpoint_trusted: bool = False,
) -> TrainedModel:
    """Load the trained network of a run.

    Args:
        run: the folder of a run, or one of the checkpoints in it.
        device: device of the network; None chooses a GPU if there is one.
        images: folder of the run's images, if they have moved.
        max_pixels: larger images are refused; None: the run's limit.
        checkpoint_trusted: unpickle whatever the checkpoint holds and build whatever the config
            names, which can run arbitrary code.

    Raises:
        ValueError: the path is not a run, or its content cannot be read or is not trusted.
    """
    device = usable_device(device)
    found = find_run(run)
    config = found.config
    if not checkpoint_trusted:
        for part in (config.model.backbone, config.model.neck, config.data.eval_transform):
            refuse_unknown_targets(part, str(found.checkpoint))
    content = read_checkpoint(found.checkpoint, trusted=checkpoint_trusted)
    file = found.folder / "config.yaml"
    refuse_oversized(lambda: _parts(config, file), found.checkpoint, str(file))
    backbone, neck = _parts(config, file)
    transform = build(config.data.eval_transform, f"data.eval_transform in {file}")
    with building(f"data.eval_transform in {file}"):
        size = config.data.image_size
        check_view(transform(Image.new("RGB", (size, size))), "eval_transform", size)
    _fill(backbone, content, "backbone.", found.checkpoint)
    _fill(neck, content, "neck.", found.checkpoint)
    model = TrainedModel(
        found,
        backbone,
        neck,
        transform,
        _labels(content, config.algorithm.num_clusters, found.checkpoint),
        None if images is None else str(images),
        checkpoint_trusted,
    )
    if max_pixels is not None:
        model.reading = model.reading._replace(max_pixels=max_pixels)
    return model.to(device)


def _parts(config: DictConfig, file: Path) -> tuple[Backbone, nn.Module]:
    """Backbone and neck, as initialised."""
    backbone: Backbone = build(config.model.backbone, f"model.backbone in {file}")
    what = f"model.neck in {file}"
    partial = build(config.model.neck, what)
    with building(what):
        dense = bool(config.model.get("dense", False))
        in_features = backbone.map_channels if dense else backbone.num_features
        neck: nn.Module = partial(in_features=in_features)
    return backbone, neck


def _fill(part: nn.Module, content: dict[str, Any], prefix: str, file: Path) -> None:
    """Load all weights of one part of the network."""
    saved = content.get("state_dict")
    if not isinstance(saved, dict) or not all(isinstance(each, Tensor) for each in saved.values()):
        raise ValueError(f"{file} is not a checkpoint of a training run: it has no weights by name")
    weights = {
        name.removeprefix(prefix): weight
        for name, weight in saved.items()
        if name.startswith(prefix)
    }
    for name, weight in weights.items():
        check_values(f"{prefix}{name}", weight, None)
    try:
        part.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{file} does not match the run's config.yaml: {str(error).splitlines()[-1].strip()}"
        ) from error


def _labels(content: dict[str, Any], num_clusters: int, file: Path) -> Tensor | None:
    """The clusters (N,) of the run's images; None without a clustering."""
    states = clustering_states(content, file)
    if not states:
        return None
    labels: Tensor = states[0]["labels"]
    if int(labels.max()) >= num_clusters:
        raise ValueError(
            f"{file} has clusters up to number {int(labels.max())}, but the run's config.yaml has "
            f"algorithm.num_clusters={num_clusters}; restore config.yaml from a copy of the run"
        )
    return labels
