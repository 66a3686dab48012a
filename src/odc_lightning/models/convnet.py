"""A small convolutional network for small images, quick enough for a laptop's CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from odc_lightning.models.backbone import Backbone, filtered


class ConvNet(Backbone):
    """Four blocks of 3 x 3 convolution, batch normalisation and ReLU, then global average pooling.

    Each of the first three blocks is followed by a 2 x 2 max pool; images need at least 8 x 8
    pixels. The default width passes over 60,000 images of 28 x 28 pixels, forward and backward,
    in about 20 seconds on two CPU cores.

    Args:
        width: channels of the first block; every block has twice as many as the one before it,
            so there are ``8 * width`` features.
        sobel: put a Sobel filter in front, as DeepCluster does.
    """

    def __init__(self, width: int = 24, sobel: bool = False) -> None:
        super().__init__()
        self.name = "convnet"
        self.num_features = self.map_channels = 8 * width
        self.sobel, in_channels = filtered(sobel)
        self.stages = {name: name for name in ("conv1", "conv2", "conv3", "conv4")}
        self.conv1 = _block(in_channels, width)
        self.conv2 = _block(width, 2 * width)
        self.conv3 = _block(2 * width, 4 * width)
        self.conv4 = _block(4 * width, 8 * width)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into average-pooled features (B, num_features)."""
        return self.maps(images).mean(dim=(2, 3))

    def maps(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into maps (B, num_features, H // 8, W // 8)."""
        # Channels last, which the maps then keep: the faster way on a CPU.
        images = images.contiguous(memory_format=torch.channels_last)
        maps = F.max_pool2d(self.conv1(self.sobel(images)), 2)
        maps = F.max_pool2d(self.conv2(maps), 2)
        maps = F.max_pool2d(self.conv3(maps), 2)
        return self.conv4(maps)


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        # No bias: the normalisation that follows would remove it.
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
