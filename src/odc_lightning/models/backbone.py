"""The interface of all backbones, and access to their inner feature maps."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from torch import Tensor, nn

from odc_lightning.models.sobel import Sobel


class Backbone(nn.Module, ABC):
    """A network without neck and head, from images to one feature vector per image.

    Attributes:
        name: the network's name in published results: ``alexnet``, ``resnet50``, ...
        num_features: width of the feature vectors.
        map_channels: channels of the last feature map, see `maps`.
        stages: stage name (``conv1``, ``conv2``, ...) -> dotted path of the sub-module whose
            output is that stage's feature map. The linear probes read these maps.
        after_maps: names of sub-modules that the features need and the maps do not.
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
    """The module before a network's first convolution, and its number of output channels.

    Args:
        sobel: whether the module is a `Sobel` filter; otherwise it is the identity.
    """
    return (Sobel(), Sobel.out_channels) if sobel else (nn.Identity(), 3)


# The layer after the last stage: the backbone's output.
POOLED = "pooled"


def stage_features(backbone: Backbone, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the feature maps of the named stages, from one ordinary forward pass.

    Gradients and train or eval mode stay as the caller has set them.

    Args:
        backbone: the network.
        images: (B, 3, H, W).
        names: keys of ``backbone.stages``, or ``pooled`` for the backbone's output.

    Returns:
        Stage name -> feature map (B, channels, height, width), in the order of ``names``;
        ``pooled`` -> (B, num_features).

    Raises:
        ValueError: if a name is not a stage of this backbone, or the output of a stage is not a
            feature map.
    """
    unknown = [name for name in names if name not in backbone.stages and name != POOLED]
    if unknown:
        raise ValueError(
            f"{type(backbone).__name__} has no stage {', '.join(map(repr, unknown))}; "
            f"expected one of {', '.join([*backbone.stages, POOLED])}"
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
                "choose a convolutional backbone"
            )
    return {name: outputs[name] for name in names}


def layer_features(backbone: Backbone, images: Tensor, path: str) -> Tensor:
    """The output of one layer in an ordinary forward pass, flattened to (B, width).

    Args:
        backbone: the network.
        images: (B, 3, H, W).
        path: dotted path of the sub-module, such as ``classifier.4``.

    Raises:
        ValueError: if the backbone has no such layer.
    """
    layers = dict(backbone.named_modules())
    if path not in layers:
        raise ValueError(
            f"{backbone.name} has no layer {path!r}; expected one of "
            f"{', '.join(name for name in layers if name)}"
        )
    kept: list[Tensor] = []
    # A copy, because a ReLU that follows may work in place.
    hook = layers[path].register_forward_hook(lambda _, __, out: kept.append(out.clone()))
    try:
        backbone.forward(images)  # a compiled call would not see the hook
    finally:
        hook.remove()
    return kept[-1].flatten(1)


def _keep(outputs: dict[str, Tensor], name: str, _module: nn.Module, _: Any, out: Tensor) -> None:
    outputs[name] = out
