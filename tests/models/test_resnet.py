"""The ResNets against torchvision's own."""

import pytest
import torch
import torchvision
from torch import nn

from odc_lightning.models import ResNet, stage_features


@pytest.mark.parametrize(
    ("name", "num_features", "num_parameters"),
    [
        ("resnet18", 512, 11_689_512 - 513_000),
        ("resnet50", 2048, 25_557_032 - 2_049_000),
    ],
)
@torch.no_grad()
def test_a_resnet_is_torchvisions_without_the_last_layer(
    name: str, num_features: int, num_parameters: int
) -> None:
    backbone = ResNet(name).eval()
    reference = torchvision.models.get_model(name).eval()
    reference.fc = nn.Identity()
    reference.load_state_dict(backbone.state_dict())  # strict: the same names and shapes

    images = torch.randn(2, 3, 64, 64)
    features = backbone(images)
    assert features.shape == (2, backbone.num_features) == (2, num_features)
    torch.testing.assert_close(features, reference(images))
    assert sum(p.numel() for p in backbone.parameters()) == num_parameters


@torch.no_grad()
def test_small_images_keep_their_size_through_the_stem() -> None:
    backbone = ResNet("resnet18", small_images=True)
    maps = stage_features(backbone, torch.randn(2, 3, 32, 32), list(backbone.stages))
    shapes = {name: tuple(stage.shape[1:]) for name, stage in maps.items()}
    assert shapes == {
        "conv1": (64, 32, 32),
        "conv2": (64, 32, 32),
        "conv3": (128, 16, 16),
        "conv4": (256, 8, 8),
        "conv5": (512, 4, 4),
    }


def test_the_small_stem_starts_like_torchvisions_convolutions() -> None:
    torch.manual_seed(0)
    stem = ResNet("resnet18", small_images=True).get_submodule("conv1")
    assert isinstance(stem, nn.Conv2d)
    assert stem.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.1)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"'resnet51' is not a ResNet.*; expected one of resnet18, resnet50"
    ):
        ResNet("resnet51")
