"""VGG-16 with batch normalisation, as DeepCluster uses it."""

from torch import nn

from odc_lightning.models.backbone import filtered
from odc_lightning.models.convolutions_then_linear import (
    ConvolutionsThenLinear,
    initialise_as_deepcluster,
)

# Channels of the convolutions of each block; a max pool ends the block.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(ConvolutionsThenLinear):
    """VGG-16 with batch normalisation.

    Layer order follows the public DeepCluster code, so its checkpoints and torchvision's fit by
    name (``features.0`` ... ``features.41``, ``classifier.0``, ``classifier.3``). The features are
    the 4,096 outputs of fc7; the stages end at the last ReLU of each block, before its pooling.

    Args:
        sobel: put a Sobel filter in front, as DeepCluster does.
    """

    sides = (224, 255)

    def __init__(self, sobel: bool = False) -> None:
        super().__init__()
        self.name = "vgg16"
        self.num_features = 4096
        self.map_channels = 512
        self.sobel, channels = filtered(sobel)
        self.stages = {}
        layers: list[nn.Module] = []
        for number, block in enumerate(_BLOCKS, start=1):
            for width in block:
                layers += [
                    nn.Conv2d(channels, width, kernel_size=3, padding=1),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
                channels = width
            self.stages[f"conv{number}"] = f"features.{len(layers) - 1}"
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
        )
        self.apply(initialise_as_deepcluster)
