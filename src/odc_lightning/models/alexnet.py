"""AlexNet with batch normalisation, as DeepCluster and the ODC paper use it."""

from torch import nn

from odc_lightning.models.backbone import filtered
from odc_lightning.models.convolutions_then_linear import (
    ConvolutionsThenLinear,
    initialise_as_deepcluster,
)

# out channels, kernel, stride, padding, whether a max pool follows
_CONVOLUTIONS = (
    (96, 11, 4, 2, True),
    (256, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)


class AlexNet(ConvolutionsThenLinear):
    """AlexNet with batch normalisation instead of local response normalisation (paper Sec. 3.4).

    Layer order and widths follow the public DeepCluster code, so its checkpoints fit by name
    (``features.0`` ... ``features.15``, ``classifier.1``, ``classifier.4``). The features are the
    4,096 outputs of fc7; the stages end at the ReLU, before any pooling.

    Args:
        sobel: put a Sobel filter in front, as DeepCluster does.
    """

    sides = (223, 254)

    def __init__(self, sobel: bool = False) -> None:
        super().__init__()
        self.name = "alexnet"
        self.num_features = 4096
        self.map_channels = 256
        self.sobel, in_channels = filtered(sobel)
        self.stages = {
            "conv1": "features.2",
            "conv2": "features.6",
            "conv3": "features.10",
            "conv4": "features.13",
            "conv5": "features.16",
        }
        self.features = _convolutional_part(in_channels)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
        )
        self.apply(initialise_as_deepcluster)


def _convolutional_part(in_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for out_channels, kernel, stride, padding, pooled in _CONVOLUTIONS:
        layers += [
            nn.Conv2d(in_channels, out_channels, kernel, stride, padding),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
        if pooled:
            layers.append(nn.MaxPool2d(kernel_size=3, stride=2))
        in_channels = out_channels
    return nn.Sequential(*layers)
