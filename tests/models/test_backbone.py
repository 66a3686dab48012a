"""Stages of all backbones: names, shapes, the probes' widths, and hooks that do not linger."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from odc_lightning.models import AlexNet, Backbone, ConvNet, ResNet, stage_features

# kernel, stride, padding -> width, as the linear probes pool them to about 9,000 dimensions
ALEXNET_POOLS = {
    "conv1": (6, 6, 3, 9600),
    "conv2": (4, 4, 0, 9216),
    "conv3": (3, 3, 1, 9600),
    "conv4": (3, 3, 1, 9600),
    "conv5": (2, 2, 0, 9216),
}
RESNET50_POOLS = {
    "conv1": (10, 10, 4, 9216),
    "conv2": (16, 8, 0, 9216),
    "conv3": (13, 5, 0, 8192),
    "conv4": (8, 3, 0, 9216),
    "conv5": (6, 1, 0, 8192),
}


class Tokens(Backbone):
    """Two stages, of which only the first is a feature map; fails on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.num_features = 4
        self.stages = {"conv1": "conv", "conv2": "tokens"}
        self.conv = nn.Conv2d(3, 4, 1)
        self.tokens = nn.Flatten(2)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.tokens(self.conv(images)).mean(2)
        if images.isnan().any():
            raise RuntimeError("broken image")
        return features

    def maps(self, images: Tensor) -> Tensor:
        maps: Tensor = self.conv(images)
        return maps


def number_of_hooks(network: nn.Module) -> int:
    return sum(len(layer._forward_hooks) for layer in network.modules())


@pytest.mark.parametrize(
    ("backbone", "pools"),
    [
        pytest.param(AlexNet, ALEXNET_POOLS, id="alexnet"),
        pytest.param(ResNet, RESNET50_POOLS, id="resnet50"),
    ],
)
@torch.no_grad()
def test_pooled_stages_have_the_widths_of_the_linear_probes(
    backbone: type[Backbone], pools: dict[str, tuple[int, int, int, int]]
) -> None:
    maps = stage_features(backbone().eval(), torch.randn(1, 3, 224, 224), list(pools))
    for name, (kernel, stride, padding, width) in pools.items():
        pooled = F.avg_pool2d(maps[name], kernel, stride, padding)
        assert pooled.flatten(1).shape == (1, width), name


def test_stage_features_come_in_the_order_asked_for_and_leave_no_hook() -> None:
    backbone = ConvNet(width=4)
    maps = stage_features(backbone, torch.randn(2, 3, 16, 16), ["conv4", "conv1"])
    assert list(maps) == ["conv4", "conv1"]
    assert number_of_hooks(backbone) == 0


def test_stage_features_keep_the_callers_hooks_and_gradients() -> None:
    backbone = ConvNet(width=4)
    calls: list[str] = []
    backbone.conv1.register_forward_hook(lambda *_: calls.append("mine"))
    maps = stage_features(backbone, torch.randn(2, 3, 16, 16), ["conv1"])
    maps["conv1"].sum().backward()
    assert calls == ["mine"]
    assert number_of_hooks(backbone) == 1
    assert all(weight.grad is not None for weight in backbone.conv1.parameters())


def test_stage_features_leave_no_hook_when_the_forward_pass_fails() -> None:
    backbone = Tokens()
    with pytest.raises(RuntimeError, match="broken image"):
        stage_features(backbone, torch.full((1, 3, 4, 4), torch.nan), ["conv1"])
    assert number_of_hooks(backbone) == 0


def test_an_unknown_stage_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'layer9'; expected one of conv1, conv2, conv3, conv4"):
        stage_features(ConvNet(width=4), torch.randn(1, 3, 16, 16), ["conv1", "layer9"])


def test_a_stage_without_a_feature_map_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"'conv2' of Tokens gives shape \(1, 4, 16\)"):
        stage_features(Tokens(), torch.randn(1, 3, 4, 4), ["conv2"])
