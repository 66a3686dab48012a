"""Any image network of timm as a backbone.

timm is imported where it is used, because that takes a second.
"""

import difflib
import inspect
import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from odc_lightning.models.backbone import Backbone

# Weights of a TimmBackbone have timm's names with this prefix.
PREFIX = "network."


class TimmBackbone(Backbone):
    """A timm network without its classifier.

    Stages are those of timm's feature levels that are feature maps, renamed ``conv1``, ``conv2``,
    ... in order. Their number depends on the network; vision transformers have none.

    Attributes:
        classifiers: prefixes of the names of the classifier's weights in timm's checkpoints.
        arguments: those beside the name with which timm built the network.

    Args:
        name: timm's name of the network, such as ``convnext_tiny``; a tag of weights
            (``vit_small_patch14_dinov2.lvd142m``) may follow.
        **kwargs: passed to ``timm.create_model``, such as ``img_size`` and ``global_pool`` of a
            vision transformer.

    Raises:
        ValueError: timm has no such network, cannot build it with these arguments, or the image
            size is not a multiple of the patch size.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__()
        import timm

        if kwargs.pop("pretrained", False):  # a key of version 0.1.0
            raise ValueError(
                f"the network's setting pretrained=true is now model.pretrained=timm:{name}, which "
                "also brings its own normalisation and input size"
            )
        check_name(name)
        if "global_pool" in kwargs:
            kwargs = {**_norm_as_trained(name, kwargs), **kwargs}
        self.name = name
        self.arguments = kwargs
        try:
            self.network = timm.create_model(name, pretrained=False, num_classes=0, **kwargs)
        except (AssertionError, TypeError) as error:
            given = ", ".join(f"{key}={value}" for key, value in kwargs.items())
            raise ValueError(f"timm cannot build {name} with {given}: {error}") from error
        # Some networks (MobileNetV3, VGG) widen their features once more before the classifier.
        self.num_features = getattr(self.network, "head_hidden_size", self.network.num_features)
        self.map_channels = self.network.num_features
        # Weights of timm's checkpoints that this network does not have start with one of these.
        names = self.network.pretrained_cfg.get("classifier") or ()
        names = (names,) if isinstance(names, str) else names
        self.classifiers = tuple(f"{name}." for name in names)
        own_size = self.network.pretrained_cfg["input_size"][-1]
        self._patch, self._fixed_size = _patches(self.network)
        if self._fixed_size is not None and (side := self._fixed_size % self._patch):
            raise ValueError(_no_multiple(name, self._fixed_size, self._patch, side))
        levels = _levels_with_maps(self.network, self._fixed_size or own_size)
        self.stages = {
            f"conv{position}": f"{PREFIX}{level}" for position, level in enumerate(levels, start=1)
        }

    def check_size(self, side: int) -> None:
        """Check that the network takes square images of this side, in pixels.

        Raises:
            ValueError: a vision transformer was built for another size, or the side is not a
                multiple of its patches.
        """
        if self._fixed_size is not None and side != self._fixed_size:
            raise ValueError(
                f"{self.name} was built for images of {self._fixed_size} pixels and got {side}; "
                f"set data.image_size={self._fixed_size}, or img_size={side} of the network"
            )
        if rest := side % self._patch:
            raise ValueError(_no_multiple(self.name, side, self._patch, rest))

    def fitted(self, name: str, weight: Tensor) -> Tensor:
        """A weight of a file, resampled if it has the positions of another image size.

        Args:
            name: in this backbone.
            weight: of the file; any other is returned as it is.
        """
        own = self.state_dict().get(name) if name == f"{PREFIX}pos_embed" else None
        grid = getattr(getattr(self.network, "patch_embed", None), "grid_size", None)
        if own is None or grid is None or own.shape == weight.shape:
            return weight
        if own.ndim != 3 or weight.ndim != 3 or own.shape[2] != weight.shape[2]:
            return weight
        from timm.layers import resample_abs_pos_embed

        others = own.shape[1] - grid[0] * grid[1]  # of the class token and registers
        if math.isqrt(weight.shape[1] - others) ** 2 != weight.shape[1] - others:
            return weight
        return resample_abs_pos_embed(weight, list(grid), num_prefix_tokens=others)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into pooled features (B, num_features)."""
        self.check_size(images.shape[-1])
        features: Tensor = self.network(images)
        return features

    def maps(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into the last feature map (B, map_channels, h, w).

        Raises:
            ValueError: if the network has none, such as vision transformers.
        """
        maps: Tensor = self.network.forward_features(images)
        if maps.ndim != 4 or maps.shape[1] != self.map_channels:
            raise ValueError(
                f"{self.name} gives features of shape {tuple(maps.shape)}, expected feature maps "
                f"(B, {self.map_channels}, h, w); choose a convolutional network"
            )
        return maps


def check_name(name: str) -> None:
    """Check that timm has a network of this name, without or with the tag of weights.

    Raises:
        ValueError: it has none; the message has similar names.
    """
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        similar = difflib.get_close_matches(architecture, timm.list_models(), n=3)
        advice = f"did you mean {' or '.join(similar)}" if similar else "timm.list_models() has all"
        raise ValueError(f"timm has no network {name!r}; {advice}")
    if tag:
        try:
            timm.get_pretrained_cfg(name, allow_unregistered=False)
        except RuntimeError as error:
            known = timm.list_models(f"{architecture}.*", pretrained=True)
            tags = ", ".join(known[:8]) or "timm has none of this network"
            raise ValueError(f"timm has no weights {name!r}; expected one of: {tags}") from error


def _norm_as_trained(name: str, arguments: dict[str, Any]) -> dict[str, bool]:
    """The argument that keeps the last normalisation where the weights have it.

    For another pooling, timm's vision transformers would move it behind the pooling, under a name
    that the weights do not have.
    """
    import timm

    usual = {key: value for key, value in arguments.items() if key != "global_pool"}
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0, **usual)
    names = set(inspect.signature(type(network)).parameters) & {"fc_norm", "use_fc_norm"}
    norm = getattr(network, "fc_norm", None)
    return {} if norm is None else {key: not isinstance(norm, nn.Identity) for key in names}


def _patches(network: nn.Module) -> tuple[int, int | None]:
    """The side of a network's patches and the image size that it was built for, in pixels.

    (1, None) of networks that take images of any size.
    """
    from timm.layers import PatchEmbed

    embed = getattr(network, "patch_embed", None)
    if not isinstance(embed, PatchEmbed):
        return 1, None
    patch = 1 if embed.dynamic_img_pad else max(embed.patch_size)
    fixed = embed.img_size[-1] if embed.strict_img_size and embed.img_size else None
    return patch, fixed


def _no_multiple(name: str, side: int, patch: int, rest: int) -> str:
    return (
        f"{name} divides images into patches of {patch} x {patch} pixels, so a side of {side} "
        f"pixels is not possible; choose {side - rest or patch} or {side - rest + patch} "
        "(data.image_size)"
    )


@torch.no_grad()
def _levels_with_maps(network: Any, side: int) -> list[str]:
    """Paths of timm's feature levels whose outputs are feature maps (B, channels, h, w).

    The network runs on the device ``meta``, which computes shapes alone.
    """
    levels = {each["module"]: each["num_chs"] for each in getattr(network, "feature_info", [])}
    maps: dict[str, bool] = {}
    modules = dict(network.named_modules())
    hooks = [
        modules[path].register_forward_hook(partial(_note_maps, maps, path, channels))
        for path, channels in levels.items()
        if path in modules
    ]
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    images = torch.zeros(2, network.pretrained_cfg["input_size"][0], side, side, device="meta")
    try:
        functional_call(network, {name: each.to("meta") for name, each in tensors.items()}, images)
    except Exception:  # a network that cannot run there; `stage_features` checks the maps again
        return list(levels)
    finally:
        for hook in hooks:
            hook.remove()
    return [path for path in levels if maps.get(path)]


def _note_maps(
    maps: dict[str, bool], path: str, channels: int, _module: nn.Module, _: Any, out: Any
) -> None:
    maps[path] = isinstance(out, Tensor) and out.ndim == 4 and out.shape[1] == channels
