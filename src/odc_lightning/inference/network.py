"""The network of a run, which turns images into features."""

from collections.abc import Callable
from functools import partial

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize

from odc_lightning.checkpoints import TrainingRun
from odc_lightning.data import SubsetSource
from odc_lightning.data.decoding.images import reading_of
from odc_lightning.data.views_of_copies import EnoughFor, on_copies
from odc_lightning.inference.inputs import Images, image_batches
from odc_lightning.models import POOLED, Backbone, layer_features, stage_features
from odc_lightning.models.pooling import pool_maps
from odc_lightning.runs.images import training_images

# The output of the neck, which is clustered.
EMBEDDING = "embedding"


class TrainedNetwork(nn.Module):
    """Backbone and neck of a run in eval mode, with the run's evaluation transform.

    Attributes:
        run: the run that they come from.
        backbone: from images (B, 3, H, W) to (B, F).
        neck: from (B, F) to (B, D).
        transform: from a Pillow image to a tensor (3, S, S).
        reading: how files and images of more than 8 bits are read, as in the run.
        size_of_copy: the size of the copy that is made of a large image; None: there are none.
        image_size: S, in pixels.
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
        """Take the parts that `odc_lightning.load` built, and its settings."""
        super().__init__()
        self.run = run
        self.backbone = backbone
        self.neck = neck
        self.transform = transform
        self.labels = labels
        self.images = images
        self.trusted = trusted
        self.reading = reading_of(run.config.data)
        # As in the training: runs that have no `data.cache` read images in full.
        is_full = run.config.data.get("cache", "none") == "none"
        self.size_of_copy = None if is_full else EnoughFor(transform)
        self.image_size = int(run.config.data.image_size)
        self.num_clusters = int(run.config.algorithm.num_clusters)
        self.requires_grad_(False).eval()

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.backbone.parameters()).device

    @property
    def layers(self) -> tuple[str, ...]:
        """The names that `embed` accepts, besides paths of layers."""
        embedding = () if self.labels is None else (EMBEDDING,)
        return (*embedding, POOLED, *self.backbone.stages)

    def train(self, mode: bool = True) -> "TrainedNetwork":
        """Stay in eval mode, whatever ``mode`` says."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor, layer: str | None = None) -> Tensor:
        """Features (B, width) of transformed images (B, 3, H, W), on the same device.

        Args:
            images: on the model's device.
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
        """Refuse an unknown layer, before images are read.

        Raises:
            ValueError: the layer is neither one of `layers` nor a path in the backbone.
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
            images: a file or a Pillow image, or several of them; or a tensor (B, 3, H, W) of
                transformed images.
            layer: ``"embedding"`` is the features of unit length that are clustered, if the run has
                clusters. ``"pooled"`` is the backbone's output. Stages ``"conv1"``, ... are pooled
                to about 9,000 numbers, as for linear probes. Any other name is the path of a layer
                of the backbone, whose output is flattened. None is the first of `layers`.
            batch_size: images per forward pass.

        Raises:
            ValueError: the layer is unknown, there are no images, or one cannot be read.
        """
        if layer is not None:
            self.check_layer(layer)
        reading = self.reading._replace(size_of_copy=self.size_of_copy)
        batches = image_batches(images, on_copies(self.transform), batch_size, reading)
        embed = partial(self, layer=layer)
        return torch.cat([embed(batch.to(self.device)).float().cpu() for batch in batches])

    def training_images(self) -> SubsetSource:
        """The run's training images that can be read, in its order and the size that views need.

        Returns:
            The images; their ``indices`` are rows of `labels`.

        Raises:
            ValueError: none of the images can be read.
        """
        source = training_images(self.run, self.images, self.trusted)
        return source.in_copies(self.size_of_copy)
