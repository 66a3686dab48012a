"""Widths of the published networks' layers, and the rule for all others."""

import pytest
import torch
import torch.nn.functional as F

from odc_lightning.models import AlexNet, Backbone, ConvNet, ResNet
from odc_lightning.models.frozen_features import FrozenFeatures
from odc_lightning.models.pooling import pool_maps

WIDTHS = {
    AlexNet: {"conv1": 9600, "conv2": 9216, "conv3": 9600, "conv4": 9600, "conv5": 9216},
    ResNet: {"conv1": 9216, "conv2": 9216, "conv3": 8192, "conv4": 9216, "conv5": 8192},
}


@pytest.mark.parametrize("kind", WIDTHS)
def test_widths_of_the_published_networks(kind: type[Backbone]) -> None:
    encoder = FrozenFeatures(kind(), [*WIDTHS[kind], "pooled"])
    image = torch.randn(3, 224, 224)
    shapes = encoder.shapes(image)
    assert shapes["pooled"] == (encoder.backbone.num_features, 1)
    assert shapes["conv4"][0] in (384, 1024)  # of AlexNet and of ResNet-50
    widths = {layer: channels * positions for layer, (channels, positions) in shapes.items()}
    assert encoder(image.unsqueeze(0))["conv4"].shape == (1, widths["conv4"])
    assert widths.pop("pooled") == encoder.backbone.num_features
    assert widths == WIDTHS[kind]


def test_published_pools_are_averages_with_that_kernel_stride_and_padding() -> None:
    maps = torch.randn(2, 4, 112, 112)
    expected = F.pad(maps, (4, 4, 4, 4)).unfold(2, 10, 10).unfold(3, 10, 10).mean((-1, -2))
    pooled = pool_maps(maps, "resnet50", "conv1")
    torch.testing.assert_close(pooled, expected.flatten(1))


def test_other_maps_are_as_large_as_the_width_allows() -> None:
    # 24 * 20^2 = 9600 is the most; 24 * 21^2 would be more
    assert pool_maps(torch.randn(1, 24, 28, 28), "convnet", "conv1").shape == (1, 9600)
    assert pool_maps(torch.randn(1, 64, 56, 56), "resnet50", "conv1").shape == (1, 64 * 12 * 12)
    assert pool_maps(torch.randn(1, 20_000, 7, 7), "convnet", "conv1").shape == (1, 20_000)
    small = torch.randn(2, 96, 7, 5)
    assert torch.equal(pool_maps(small, "convnet", "conv3"), small.flatten(1))


def test_frozen_features_leave_the_network_as_it_is() -> None:
    backbone = ConvNet(4).train()
    encoder = FrozenFeatures(backbone, ["conv2", "pooled"])
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    encoder.train()
    assert not any(part.training for part in encoder.modules())
    images = torch.randn(8, 3, 16, 16)
    features = encoder(images)
    assert not any(value.requires_grad for value in features.values())
    assert backbone.training
    assert all(weight.requires_grad for weight in backbone.parameters())
    after = backbone.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert torch.equal(features["pooled"], backbone.eval()(images))
