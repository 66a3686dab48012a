"""The network of a run, which turns images into features."""

from collections.abc import Callable
from functools import partial

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize

from odc_lightning.checkpoints import TrainingRun
from odc_lightning.data import ImageSource
from odc_lightning.inference.inputs import Images, image_batches
from odc_lightning.models import POOLED, Backbone, layer_features, stage_features
from odc_lightning.models.pooling import pool_maps
from odc_lightning.runs.images import training_images

# The layer behind the neck, whose features are clustered.
EMBEDDING = "embedding"


class TrainedNetwork(nn.Module):
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
        """Take what `odc_lightning.load` built, and its ``images`` and ``checkpoint_trusted``."""
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

    def train(self, mode: bool = True) -> "TrainedNetwork":
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

    def training_images(self) -> ImageSource:
        """The run's training images, in its order.

        Raises:
            ValueError: they are not there, or others are in their place.
        """
        return training_images(self.run, self.images, self.trusted)
