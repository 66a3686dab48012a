"""The network under evaluation: frozen, and looked at where the protocols look."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from odc_lightning.evaluation.pooling import pool_maps
from odc_lightning.models import POOLED, Backbone, stage_features


class FrozenFeatures(nn.Module):
    """A backbone in eval mode for good, without gradients: images to one vector a layer.

    Batch statistics are thus read and never touched, in training steps of the probes too.

    Args:
        backbone: any; its parameters no longer require gradients.
        layers: stages such as ``conv4``, pooled to about 9,000 numbers, and ``pooled``, the
            backbone's own output.
    """

    def __init__(self, backbone: Backbone, layers: Sequence[str]) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(False).eval()
        self.layers = tuple(layers)

    def train(self, mode: bool = True) -> "FrozenFeatures":
        """Stay in eval mode, whatever is asked for."""
        return super().train(False)

    def widths(self, image: Tensor) -> dict[str, int]:
        """Layer -> width of its features for images of this shape (3, H, W)."""
        device = next(self.backbone.parameters()).device
        features = self(image.unsqueeze(0).to(device))
        return {layer: values.shape[1] for layer, values in features.items()}

    @torch.no_grad()
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images (B, 3, H, W) to layer -> features (B, width)."""
        maps = stage_features(self.backbone, images, self.layers)
        name = self.backbone.name
        return {
            layer: output if layer == POOLED else pool_maps(output, name, layer)
            for layer, output in maps.items()
        }
