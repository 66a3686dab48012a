"""The frozen network under evaluation, with the layers that the protocols read."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from odc_lightning.models import POOLED, Backbone, stage_features
from odc_lightning.models.pooling import pool_maps


class FrozenFeatures(nn.Module):
    """A copy of a backbone without gradients and always in eval mode: one vector per layer.

    Running statistics of batch normalisation never change, not even in training steps of the
    probes. The copy leaves mode and precision of the original backbone unchanged.

    Args:
        backbone: any backbone; it is not changed.
        layers: stages such as ``conv4``, pooled to about 9,000 numbers, and ``pooled``, the
            backbone's output.
    """

    def __init__(self, backbone: Backbone, layers: Sequence[str]) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone).requires_grad_(False).eval()
        self.layers = tuple(layers)

    def train(self, mode: bool = True) -> "FrozenFeatures":
        """Stay in eval mode for any `mode`."""
        return super().train(False)

    @torch.no_grad()
    def shapes(self, image: Tensor) -> dict[str, tuple[int, int]]:
        """Layer -> channels and positions of its features, for images of this shape (3, H, W).

        The product of channels and positions is the width; ``pooled`` has one position.
        """
        maps = stage_features(self.backbone, image.unsqueeze(0), self.layers)
        return {
            layer: (maps[layer].shape[1], features.shape[1] // maps[layer].shape[1])
            for layer, features in self._pooled(maps).items()
        }

    @torch.no_grad()
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Layer -> features (B, width) of images (B, 3, H, W)."""
        return self._pooled(stage_features(self.backbone, images, self.layers))

    def _pooled(self, maps: dict[str, Tensor]) -> dict[str, Tensor]:
        name = self.backbone.name
        return {
            layer: output if layer == POOLED else pool_maps(output, name, layer)
            for layer, output in maps.items()
        }
