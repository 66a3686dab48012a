"""A small convolutional network for small images, fast enough for a laptop's CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from odc_lightning.models.backbone import Backbone, filtered


class ConvNet(Backbone):
    """Four blocks of 3 x 3 convolution, batch normalisation and ReLU, then global average pooling.

    A 2 x 2 max pool follows each of the first three blocks, so images need at least 8 x 8 pixels.
    At the default width, a forward and backward pass over 60,000 images of 28 x 28 pixels takes
    about 20 seconds on two CPU cores.

    Args:
        width: channels of the first block. Each block has twice as many as the previous one, so
            there are ``8 * width`` features.
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
        # Channels last is faster on a CPU; the maps keep it.
        images = images.contiguous(memory_format=torch.channels_last)
        maps = F.max_pool2d(self.conv1(self.sobel(images)), 2)
        maps = F.max_pool2d(self.conv2(maps), 2)
        maps = F.max_pool2d(self.conv3(maps), 2)
        return self.conv4(maps)


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        # No bias, because the following normalisation would remove it.
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
