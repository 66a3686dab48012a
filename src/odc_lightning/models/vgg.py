"""VGG-16 with batch normalisation, as DeepCluster uses it."""

from torch import Tensor, nn

from odc_lightning.models.alexnet import initialise_as_deepcluster
from odc_lightning.models.backbone import Backbone, filtered

# Channels of the convolutions of each block; a max pool ends the block.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
# Sides for which the last pool leaves the 7 x 7 map that the first linear layer takes.
_SMALLEST_SIDE, _LARGEST_SIDE = 224, 255


class VGG16(Backbone):
    """VGG-16 with batch normalisation.

    Layer order follows the public DeepCluster code, so that its checkpoints fit under the same
    names (``features.0`` ... ``features.41``, ``classifier.0``, ``classifier.3``), and so do
    torchvision's. The features are the 4,096 outputs of fc7; the stages end at the last ReLU of
    each block, ahead of its pooling.

    Args:
        sobel: put a Sobel filter in front, as DeepCluster does.
    """

    after_maps = ("classifier",)

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

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W), H and W from 224 to 255, into features (B, 4096).

        Raises:
            ValueError: the images are smaller or larger than that.
        """
        height, width = images.shape[-2:]
        if min(height, width) < _SMALLEST_SIDE or max(height, width) > _LARGEST_SIDE:
            raise ValueError(
                f"VGG16 got images of {height} x {width} pixels, expected sides from "
                f"{_SMALLEST_SIDE} to {_LARGEST_SIDE}; crop to 224, or choose model=convnet "
                "or model=resnet18 for other sizes."
            )
        features: Tensor = self.classifier(self.maps(images).flatten(1))
        return features

    def maps(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into the pooled maps of conv5 (B, 512, H // 32, W // 32)."""
        maps: Tensor = self.features(self.sobel(images))
        return maps
