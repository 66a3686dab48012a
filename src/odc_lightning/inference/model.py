"""From the folder of a run to an object that embeds and assigns images."""

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize

from odc_lightning.checkpoints import (
    TrainingRun,
    checkpoint_file,
    read_checkpoint,
    refuse_unknown_targets,
)
from odc_lightning.checkpoints.pretrained import check_values
from odc_lightning.inference.inputs import Images, image_batches
from odc_lightning.inference.reference import Reference, reference_of
from odc_lightning.inference.run_clusters import Assigned
from odc_lightning.models import POOLED, Backbone, layer_features, stage_features
from odc_lightning.models.pooling import pool_maps

# The layer behind the neck, whose features are clustered.
EMBEDDING = "embedding"


class TrainedModel(nn.Module):
    """Backbone and neck of a run, in eval mode, with the run's own view of an image.

    Attributes:
        run: where they are from.
        backbone: images (B, 3, H, W) to (B, F).
        neck: (B, F) to (B, D).
        transform: the run's, from an image of Pillow to a tensor (3, S, S).
        image_size: S.
        labels: (N,) int64, the clusters of the run's images; None if the run has none.
        num_clusters: C.
    """

    labels: Tensor | None

    def __init__(
        self,
        run: TrainingRun,
        backbone: Backbone,
        neck: nn.Module,
        transform: Callable[[Image.Image], Tensor],
        labels: Tensor | None,
        images: str | None,
        trusted: bool,
    ) -> None:
        """Take what `load` has built, and its ``images`` and ``checkpoint_trusted``."""
        super().__init__()
        self.run = run
        self.backbone = backbone
        self.neck = neck
        self.transform = transform
        self.labels = labels
        self.images = images
        self.trusted = trusted
        self.image_size = int(run.config.data.image_size)
        self.num_clusters = int(run.config.algorithm.num_clusters)
        self.requires_grad_(False).eval()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.backbone.parameters()).device

    @property
    def layers(self) -> tuple[str, ...]:
        """What `embed` knows by name."""
        own = () if self.labels is None else (EMBEDDING,)
        return (*own, POOLED, *self.backbone.stages)

    def train(self, mode: bool = True) -> "TrainedModel":
        """Stay in eval mode, whatever is asked for."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor, layer: str | None = None) -> Tensor:
        """Transformed images (B, 3, H, W) to features (B, width) on the same device.

        Args:
            images: of this model's device.
            layer: see `embed`.
        """
        layer = self.layers[0] if layer is None else layer
        if layer == EMBEDDING and self.labels is not None:
            return normalize(self.neck(self.backbone(images)).float(), dim=1)
        if layer == POOLED:
            return self.backbone(images)
        if layer in self.backbone.stages:
            maps = stage_features(self.backbone, images, [layer])[layer]
            return pool_maps(maps, self.backbone.name, layer)
        return layer_features(self.backbone, images, layer)

    def check_layer(self, layer: str) -> None:
        """Refuse what is no layer, before images are read.

        Raises:
            ValueError: it is neither one of `layers` nor a path of the backbone's.
        """
        known = layer in self.layers or layer in dict(self.backbone.named_modules())
        if not known or not layer:
            raise ValueError(
                f"layer={layer}: {self.backbone.name} of {self.run.folder} has no such layer; "
                f"expected one of {', '.join(self.layers)}, or a path such as "
                f"{[name for name, _ in self.backbone.named_modules()][-1]}"
            )

    def embed(self, images: Images, layer: str | None = None, batch_size: int = 64) -> Tensor:
        """Features (B, width) fp32 of images, on the CPU.

        Args:
            images: a file or image of Pillow, or several of them; or a transformed tensor
                (B, 3, H, W).
            layer: None is the first of `layers`: ``"embedding"``, the features of unit length that
                are clustered, in a run that has clusters, and ``"pooled"``, the backbone's output,
                in others. Stages ``"conv1"``, ... are pooled to about 9,000 numbers, as for linear
                probes. Anything else is the path of a layer of the backbone, flattened.
            batch_size: images that go through the network at once.

        Raises:
            ValueError: no such layer, no images, or one that cannot be read.
        """
        if layer is not None:
            self.check_layer(layer)
        batches = image_batches(images, self.transform, batch_size)
        embed = partial(self, layer=layer)
        return torch.cat([embed(batch.to(self.device)).float().cpu() for batch in batches])

    def assign(self, images: Images, batch_size: int = 64) -> Assigned:
        """Whose clusters images are, by the run's own metric; results are on the CPU.

        The first time, the run's images are read once: see `reference`.

        Args:
            images, batch_size: see `embed`.

        Raises:
            ValueError: the run has no clusters, or its images are not there.
        """
        return self.reference.clusters.assign(self.embed(images, EMBEDDING, batch_size))

    @cached_property
    def reference(self) -> Reference:
        """Centroids and neighbours of the run's images, kept in the run's folder.

        Raises:
            ValueError: as `assign`.
        """
        return reference_of(self)


def load(
    run: Path | str,
    *,
    device: torch.device | str | None = None,
    images: Path | str | None = None,
    checkpoint_trusted: bool = False,
) -> TrainedModel:
    """Read a trained network.

    Args:
        run: the folder of a run, or one of the checkpoints in it.
        device: where it computes; None is a GPU if there is one.
        images: where the run's images are now, if they are not where they were.
        checkpoint_trusted: unpickle whatever the checkpoint holds and build what the config names,
            which can run any code.

    Raises:
        ValueError: it is no run, or something in it cannot be read or trusted.
    """
    found = load_run(run)
    config = found.config
    if not checkpoint_trusted:
        for part in (config.model.backbone, config.model.neck, config.data.eval_transform):
            refuse_unknown_targets(part, str(found.checkpoint))
    content = read_checkpoint(found.checkpoint, trusted=checkpoint_trusted)
    backbone: Backbone = instantiate(config.model.backbone)
    neck = _neck(config, backbone)
    _fill(backbone, content, "backbone.", found.checkpoint)
    _fill(neck, content, "neck.", found.checkpoint)
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = TrainedModel(
        found,
        backbone,
        neck,
        instantiate(config.data.eval_transform),
        _labels(content),
        None if images is None else str(images),
        checkpoint_trusted,
    )
    return model.to(device)


def load_run(run: Path | str) -> TrainingRun:
    """The run that a folder or a checkpoint means.

    Raises:
        ValueError: there is none.
    """
    file = checkpoint_file(run, "run")
    found = TrainingRun.of(file)
    if found is None:
        raise ValueError(
            f"run={run}: there is no config.yaml in {file.resolve().parent.parent}, which says "
            "what network this is; expected the folder of a training run, or a checkpoint in it"
        )
    return found


def _neck(config: DictConfig, backbone: Backbone) -> nn.Module:
    dense = bool(config.model.get("dense", False))
    in_features = backbone.map_channels if dense else backbone.num_features
    neck: nn.Module = instantiate(config.model.neck)(in_features=in_features)
    return neck


def _fill(part: nn.Module, content: dict[str, Tensor], prefix: str, file: Path) -> None:
    """Give a part of the network its weights, all of them."""
    saved: dict[str, Tensor] = content.get("state_dict", {})  # type: ignore[assignment]
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
            f"{file} does not fit the config.yaml beside it: {str(error).splitlines()[-1].strip()}"
        ) from error


def _labels(content: dict[str, object]) -> Tensor | None:
    """The clusters (N,) of the run's images; None where there was no clustering."""
    callbacks = content.get("callbacks", {})
    assert isinstance(callbacks, dict)  # Lightning writes nothing else
    for state in callbacks.values():
        if isinstance(state, dict) and "labels" in state:
            labels: Tensor = state["labels"]
            return labels
    return None
