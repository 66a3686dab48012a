"""The small network at the sizes of digits, Fashion-MNIST and CIFAR images."""

import pytest
import torch

from odc_lightning.models import ConvNet, stage_features


@pytest.mark.parametrize(("side", "sides"), [(16, [16, 8, 4, 2]), (28, [28, 14, 7, 3])])
def test_features_and_stages(side: int, sides: list[int]) -> None:
    backbone = ConvNet(width=8)
    images = torch.randn(2, 3, side, side)
    assert backbone(images).shape == (2, backbone.num_features) == (2, 64)
    maps = stage_features(backbone, images, ["conv1", "conv2", "conv3", "conv4"])
    expected = [(2, 8 * 2**i, s, s) for i, s in enumerate(sides)]
    assert [tuple(stage.shape) for stage in maps.values()] == expected


def test_features_are_the_average_of_the_last_stage() -> None:
    backbone = ConvNet().eval()
    images = torch.randn(2, 3, 32, 32)
    last = stage_features(backbone, images, ["conv4"])["conv4"]
    torch.testing.assert_close(backbone(images), last.mean(dim=(2, 3)))


def test_all_parameters_are_trained() -> None:
    backbone = ConvNet(width=4)
    backbone(torch.randn(4, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())
