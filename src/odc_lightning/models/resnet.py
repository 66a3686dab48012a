"""torchvision's ResNets as backbones."""

import torchvision
from torch import Tensor, nn

from odc_lightning.models.backbone import Backbone

_RESNETS = {
    "resnet18": torchvision.models.resnet18,
    "resnet50": torchvision.models.resnet50,
}


class ResNet(Backbone):
    """A randomly initialised torchvision ResNet without its last linear layer.

    Parameters keep torchvision's names, which most published checkpoints share. Stage ``conv1``
    ends at the stem's ReLU, ahead of the max pool; ``conv2`` to ``conv5`` are ``layer1`` to
    ``layer4`` (res2 to res5 in other papers).

    Args:
        name: ``resnet18`` (512 features) or ``resnet50`` (2,048 features).
        small_images: put a 3 x 3 convolution of stride 1 in place of the stem's 7 x 7 of stride 2
            and leave out the max pool, as is usual for images of about 32 pixels.

    Raises:
        ValueError: no such ResNet.
    """

    def __init__(self, name: str = "resnet50", small_images: bool = False) -> None:
        super().__init__()
        if name not in _RESNETS:
            raise ValueError(f"Unknown ResNet {name!r}; choose from {', '.join(_RESNETS)}.")
        network = _RESNETS[name](weights=None)
        if small_images:
            network.conv1 = _small_stem()
            network.maxpool = nn.Identity()
        self.name = name
        self.num_features = network.fc.in_features
        self.stages = {
            "conv1": "relu",
            "conv2": "layer1",
            "conv3": "layer2",
            "conv4": "layer3",
            "conv5": "layer4",
        }
        # Taking over the children, rather than the whole network, keeps the parameters' names.
        for child_name, child in network.named_children():
            if child_name != "fc":
                self.add_module(child_name, child)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into average-pooled features (B, num_features)."""
        maps = images
        for layer in self.children():  # torchvision lists them in the order they apply
            maps = layer(maps)
        return maps.flatten(1)


def _small_stem() -> nn.Conv2d:
    stem = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    return stem
