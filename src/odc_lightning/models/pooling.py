"""Average pooling of feature maps of any size to the width that the probes read."""

import math

import torch.nn.functional as F
from torch import Tensor

# Side of the map of a 224-pixel image, and kernel, stride and padding that reduce the map to about
# 9,000 numbers (Sec. 4.1; values of Goyal et al. 2019, as in the authors' code).
POOLS: dict[str, dict[str, tuple[int, tuple[int, int, int]]]] = {
    "resnet50": {
        "conv1": (112, (10, 10, 4)),
        "conv2": (56, (16, 8, 0)),
        "conv3": (28, (13, 5, 0)),
        "conv4": (14, (8, 3, 0)),
        "conv5": (7, (6, 1, 0)),
    },
    "alexnet": {
        "conv1": (55, (6, 6, 3)),
        "conv2": (27, (4, 4, 0)),
        "conv3": (13, (3, 3, 1)),
        "conv4": (13, (3, 3, 1)),
        "conv5": (13, (2, 2, 0)),
    },
}
# The largest width of these, and the bound for all other networks.
MAX_WIDTH = 9600


def pool_maps(maps: Tensor, backbone: str, stage: str) -> Tensor:
    """Average-pool feature maps to vectors of at most 9,600 numbers.

    Args:
        maps: (B, channels, height, width).
        backbone: name of the backbone. The published networks at 224 pixels have the published
            pools. Any other map is averaged to the largest square that the width allows; smaller
            maps stay unchanged.
        stage: ``conv1``, ``conv2``, ...

    Returns:
        (B, width).
    """
    channels, *size = maps.shape[1:]
    side, pool = POOLS.get(backbone, {}).get(stage, (0, (1, 1, 0)))
    if size == [side, side]:
        kernel, stride, padding = pool
        return F.avg_pool2d(maps, kernel, stride, padding).flatten(1)
    largest = max(1, math.isqrt(MAX_WIDTH // channels))
    height, width = (min(length, largest) for length in size)
    return F.adaptive_avg_pool2d(maps, (height, width)).flatten(1)
