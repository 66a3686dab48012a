"""The common base of AlexNet and VGG: convolutions, then linear layers on maps of one size."""

from torch import Tensor, nn

from odc_lightning.models.backbone import Backbone


class ConvolutionsThenLinear(Backbone):
    """A backbone of ``sobel``, ``features`` and ``classifier``, applied in this order.

    Attributes:
        sides: the smallest and the largest side of an image, in pixels, for which the last pool
            gives maps of the size that the first linear layer expects.
    """

    after_maps = ("classifier",)
    sides: tuple[int, int]
    sobel: nn.Module
    features: nn.Sequential
    classifier: nn.Sequential

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W), H and W within ``sides``, into features (B, num_features).

        Raises:
            ValueError: if the images are smaller or larger.
        """
        (height, width), (smallest, largest) = images.shape[-2:], self.sides
        if min(height, width) < smallest or max(height, width) > largest:
            raise ValueError(
                f"{type(self).__name__} got images of {height} x {width} pixels, expected sides "
                f"from {smallest} to {largest}; crop to 224 pixels, or choose model=convnet or "
                "model=resnet18 for other sizes"
            )
        features: Tensor = self.classifier(self.maps(images).flatten(1))
        return features

    def maps(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into the maps after the last pool (B, map_channels, h, w)."""
        maps: Tensor = self.features(self.sobel(images))
        return maps


def initialise_as_deepcluster(layer: nn.Module) -> None:
    """Initialise a layer as DeepCluster does; batch normalisation keeps weight 1 and bias 0."""
    if isinstance(layer, nn.Conv2d):
        # std = sqrt(2 / (kernel^2 * out_channels))
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=0.01)
    else:
        return
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
