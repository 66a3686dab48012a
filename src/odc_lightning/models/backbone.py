"""What every backbone offers, and how to look at its inner feature maps."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from torch import Tensor, nn

from odc_lightning.models.sobel import Sobel


class Backbone(nn.Module, ABC):
    """A network without neck and head: images in, one feature vector an image out.

    Attributes:
        name: what the published results call it: ``alexnet``, ``resnet50``, ...
        num_features: width of the feature vectors.
        map_channels: channels of the last feature map, see `maps`.
        stages: stage name (``conv1``, ``conv2``, ...) -> dotted path of the sub-module whose
            output is that stage's feature map. These maps are what the linear probes read.
        after_maps: sub-modules that only the features need, not the maps.
    """

    name: str
    num_features: int
    map_channels: int
    after_maps: tuple[str, ...] = ()
    stages: dict[str, str]

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into features (B, num_features)."""

    @abstractmethod
    def maps(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into the last feature map (B, map_channels, h, w)."""


def filtered(sobel: bool) -> tuple[nn.Module, int]:
    """What stands in front of a network's first convolution, and the channels that it gets.

    Args:
        sobel: a `Sobel` filter; otherwise the image itself.
    """
    return (Sobel(), Sobel.out_channels) if sobel else (nn.Identity(), 3)


# The layer after the last stage: the backbone's own output.
POOLED = "pooled"


def stage_features(backbone: Backbone, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the feature maps of the named stages, all from one ordinary forward pass.

    Gradients and train or eval mode are left as the caller has set them.

    Args:
        backbone: the network to look into.
        images: (B, 3, H, W).
        names: stages wanted, keys of ``backbone.stages``; ``pooled`` is the backbone's output.

    Returns:
        Stage name -> feature map (B, channels, height, width), in the order of ``names``;
        ``pooled`` -> (B, num_features).

    Raises:
        ValueError: a name is no stage of this backbone, or a stage puts out no feature map.
    """
    unknown = [name for name in names if name not in backbone.stages and name != POOLED]
    if unknown:
        raise ValueError(
            f"{type(backbone).__name__} has no stage {', '.join(map(repr, unknown))}; "
            f"choose from {', '.join([*backbone.stages, POOLED])}."
        )
    outputs: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for name in names:
            if name != POOLED:
                stage = backbone.get_submodule(backbone.stages[name])
                hooks.callback(stage.register_forward_hook(partial(_keep, outputs, name)).remove)
        outputs[POOLED] = backbone.forward(images)  # a compiled call would not see the hooks
    for name in names:
        if name != POOLED and outputs[name].ndim != 4:
            raise ValueError(
                f"Stage {name!r} of {type(backbone).__name__} gives shape "
                f"{tuple(outputs[name].shape)}, expected (B, channels, height, width); "
                "feature maps need a convolutional backbone."
            )
    return {name: outputs[name] for name in names}


def layer_features(backbone: Backbone, images: Tensor, path: str) -> Tensor:
    """What one layer gives in an ordinary forward pass, flattened (B, width).

    Args:
        backbone: the network to look into.
        images: (B, 3, H, W).
        path: dotted path of the sub-module, such as ``classifier.4``.

    Raises:
        ValueError: the backbone has no such layer.
    """
    layers = dict(backbone.named_modules())
    if path not in layers:
        raise ValueError(
            f"{backbone.name} has no layer {path!r}; expected one of "
            f"{', '.join(name for name in layers if name)}"
        )
    kept: list[Tensor] = []
    # A copy, since a ReLU that follows may work in place.
    hook = layers[path].register_forward_hook(lambda _, __, out: kept.append(out.clone()))
    try:
        backbone.forward(images)  # a compiled call would not see the hook
    finally:
        hook.remove()
    return kept[-1].flatten(1)


def _keep(outputs: dict[str, Tensor], name: str, _module: nn.Module, _: Any, out: Tensor) -> None:
    outputs[name] = out
