"""torchvision's ResNets as backbones."""

import torchvision
from torch import Tensor, nn

from odc_lightning.models.backbone import Backbone, filtered

_RESNETS = {
    "resnet18": torchvision.models.resnet18,
    "resnet50": torchvision.models.resnet50,
}


class ResNet(Backbone):
    """A randomly initialised torchvision ResNet without its last linear layer.

    Parameters keep torchvision's names, which most published checkpoints share. Stage ``conv1``
    ends at the stem's ReLU, before the max pool; ``conv2`` to ``conv5`` are ``layer1`` to
    ``layer4`` (res2 to res5 in other papers).

    Args:
        name: ``resnet18`` (512 features) or ``resnet50`` (2,048 features).
        small_images: use a 3 x 3 convolution of stride 1 instead of the stem's 7 x 7 of stride 2,
            and no max pool, as is usual for images of about 32 pixels.
        sobel: put a Sobel filter in front, as DeepCluster does.

    Raises:
        ValueError: for another name.
    """

    def __init__(
        self, name: str = "resnet50", small_images: bool = False, sobel: bool = False
    ) -> None:
        super().__init__()
        if name not in _RESNETS:
            raise ValueError(
                f"model.backbone.name={name!r} is not a ResNet of this package; expected one of "
                f"{', '.join(_RESNETS)}"
            )
        network = _RESNETS[name](weights=None)
        first, in_channels = filtered(sobel)
        if small_images:
            network.conv1 = _stem(in_channels, kernel=3, stride=1)
            network.maxpool = nn.Identity()
        elif sobel:
            network.conv1 = _stem(in_channels, kernel=7, stride=2)
        self.name = name
        self.num_features = self.map_channels = network.fc.in_features
        self.stages = {
            "conv1": "relu",
            "conv2": "layer1",
            "conv3": "layer2",
            "conv4": "layer3",
            "conv5": "layer4",
        }
        self.sobel = first
        # The children are added one by one, so that the parameters keep torchvision's names.
        for child_name, child in network.named_children():
            if child_name != "fc":
                self.add_module(child_name, child)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into average-pooled features (B, num_features)."""
        pooled: Tensor = self.get_submodule("avgpool")(self.maps(images))
        return pooled.flatten(1)

    def maps(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into the maps of ``layer4`` (B, num_features, h, w)."""
        maps = images
        for name, layer in self.named_children():  # in the order in which they are applied
            if name != "avgpool":
                maps = layer(maps)
        return maps


def _stem(in_channels: int, kernel: int, stride: int) -> nn.Conv2d:
    """torchvision's first convolution, for other input channels or another image size."""
    stem = nn.Conv2d(in_channels, 64, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    return stem
