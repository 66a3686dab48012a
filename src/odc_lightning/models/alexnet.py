"""AlexNet with batch normalisation, as DeepCluster and the ODC paper use it."""

from torch import Tensor, nn

from odc_lightning.models.backbone import Backbone, filtered

# out channels, kernel, stride, padding, whether a max pool follows
_CONVOLUTIONS = (
    (96, 11, 4, 2, True),
    (256, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)
# Sides for which the last pool leaves the 6 x 6 map that the first linear layer takes.
_SMALLEST_SIDE, _LARGEST_SIDE = 223, 254


class AlexNet(Backbone):
    """AlexNet without local response normalisation, with batch normalisation (paper Sec. 3.4).

    Layer order and widths follow the public DeepCluster code, so that its checkpoints fit under
    the same names (``features.0`` ... ``features.15``, ``classifier.1``, ``classifier.4``). The
    features are the 4,096 outputs of fc7; the stages end at the ReLU, ahead of any pooling.

    Args:
        sobel: put a Sobel filter in front, as DeepCluster does.
    """

    after_maps = ("classifier",)

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

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W), H and W from 223 to 254, into features (B, 4096).

        Raises:
            ValueError: the images are smaller or larger than that.
        """
        height, width = images.shape[-2:]
        if min(height, width) < _SMALLEST_SIDE or max(height, width) > _LARGEST_SIDE:
            raise ValueError(
                f"AlexNet got images of {height} x {width} pixels, expected sides from "
                f"{_SMALLEST_SIDE} to {_LARGEST_SIDE}; crop to 224, or choose model=convnet "
                "or model=resnet18 for other sizes."
            )
        features: Tensor = self.classifier(self.maps(images).flatten(1))
        return features

    def maps(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into the pooled maps of conv5 (B, 256, h, w)."""
        maps: Tensor = self.features(self.sobel(images))
        return maps


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


def initialise_as_deepcluster(layer: nn.Module) -> None:
    """Initialise as DeepCluster does; batch normalisation already starts at weight 1, bias 0."""
    if isinstance(layer, nn.Conv2d):
        # std = sqrt(2 / (kernel^2 * out_channels))
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=0.01)
    else:
        return
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
