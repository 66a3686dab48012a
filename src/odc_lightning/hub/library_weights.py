"""A backbone's weights under the names of timm or torchvision."""

from typing import Any, NamedTuple

import torch
import torchvision
from torch import Tensor, nn

from odc_lightning.hub.compare import check_close
from odc_lightning.models import VGG16, Backbone, ResNet, Sobel, TimmBackbone
from odc_lightning.models.timm_backbone import PREFIX


class Published(NamedTuple):
    """The weights of a backbone under a library's names.

    Attributes:
        library: the library: ``timm`` (torchvision's names are the same for ResNets),
            ``torchvision`` or ``odc_lightning``.
        architecture: the library's name of the network.
        weights: tensors by the library's names, on the CPU.
        arguments: further arguments with which the library builds the network.
        standard: whether the library's network takes all of the weights.
    """

    library: str
    architecture: str
    weights: dict[str, Tensor]
    arguments: dict[str, Any]
    standard: bool


def publish(backbone: Backbone, config: dict[str, Any]) -> Published:
    """Weights by the names of timm or torchvision if these have the network, else by ours.

    Args:
        backbone: a run's backbone.
        config: the config that it was built from.
    """
    weights = {name: value.cpu().contiguous() for name, value in backbone.state_dict().items()}
    arguments = {key: value for key, value in config.items() if not key.startswith("_")}
    if isinstance(backbone, TimmBackbone):
        weights = {name.removeprefix(PREFIX): value for name, value in weights.items()}
        arguments = {**backbone.arguments, **arguments}
        arguments.pop("name", None)
        # timm builds a network from a folder by its name without the tag of weights.
        architecture = backbone.name.partition(".")[0]
        return Published("timm", architecture, weights, arguments, True)
    filtered = isinstance(getattr(backbone, "sobel", None), Sobel)
    if isinstance(backbone, ResNet) and not filtered and not config.get("small_images", False):
        return Published("timm", backbone.name, weights, {}, True)
    if isinstance(backbone, VGG16) and not filtered:
        return Published("torchvision", "vgg16_bn", weights, {}, True)
    return Published("odc_lightning", backbone.name, weights, arguments, False)


@torch.no_grad()
def check_published(published: Published, images: Tensor, expected: Tensor) -> float:
    """Load the weights into the library's network, and compare its features with the backbone's.

    Args:
        published: weights with ``standard`` true.
        images: (B, 3, S, S).
        expected: features (B, F) of the backbone.

    Returns:
        The largest difference.

    Raises:
        ValueError: if the weights do not fit, or the features differ.
    """
    network, classifier = _network(published)
    missing, unknown = network.load_state_dict(published.weights, strict=False)
    left = [name for name in missing if not classifier or not name.startswith(classifier)]
    if left or unknown:
        raise ValueError(
            f"the weights do not fit {published.library}'s {published.architecture}: "
            f"missing {left[:4]}, unknown {unknown[:4]}; nothing was exported"
        )
    if classifier:
        network.set_submodule(classifier.rstrip("."), nn.Identity())
    return check_close(f"{published.library}'s network", network.eval()(images), expected)


def _network(published: Published) -> tuple[nn.Module, str]:
    """The library's network, and the prefix of its classifier's names; empty if it has none."""
    if published.library == "timm" and published.architecture not in ("resnet18", "resnet50"):
        import timm

        network: nn.Module = timm.create_model(
            published.architecture, pretrained=False, num_classes=0, **published.arguments
        )
        return network, ""
    # timm has the same names for these networks.
    build = getattr(torchvision.models, published.architecture)
    return build(weights=None), "classifier.6." if published.library == "torchvision" else "fc."
