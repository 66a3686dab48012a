"""AlexNet against a plain functional computation, and its names, sizes and initialisation."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from odc_lightning.models import AlexNet, stage_features


@pytest.fixture(scope="module")
def alexnet() -> AlexNet:
    torch.manual_seed(0)
    return AlexNet().eval()


def alexnet_by_hand(weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """AlexNet in eval mode, one line a layer."""

    def conv_bn_relu(x: Tensor, conv: int, stride: int, padding: int) -> Tensor:
        x = F.conv2d(
            x,
            weights[f"features.{conv}.weight"],
            weights[f"features.{conv}.bias"],
            stride,
            padding,
        )
        norm = f"features.{conv + 1}"
        mean, variance = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        x = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + 1e-5)
        x = x * weights[f"{norm}.weight"][:, None, None] + weights[f"{norm}.bias"][:, None, None]
        return x.clamp(min=0)

    x = F.max_pool2d(conv_bn_relu(images, 0, stride=4, padding=2), 3, 2)
    x = F.max_pool2d(conv_bn_relu(x, 4, stride=1, padding=2), 3, 2)
    x = conv_bn_relu(x, 8, stride=1, padding=1)
    x = conv_bn_relu(x, 11, stride=1, padding=1)
    x = F.max_pool2d(conv_bn_relu(x, 14, stride=1, padding=1), 3, 2)
    x = x.reshape(len(x), 256 * 6 * 6)
    x = (x @ weights["classifier.1.weight"].T + weights["classifier.1.bias"]).clamp(min=0)
    return (x @ weights["classifier.4.weight"].T + weights["classifier.4.bias"]).clamp(min=0)


@torch.no_grad()
def test_forward_is_the_computation_by_hand() -> None:
    torch.manual_seed(1)
    network = AlexNet().eval()
    for layer in network.modules():  # statistics as after some training, not zeros and ones
        if isinstance(layer, nn.BatchNorm2d):
            for statistic in (layer.running_mean, layer.running_var, layer.weight, layer.bias):
                assert statistic is not None
                statistic.uniform_(0.5, 1.5)
    images = torch.randn(2, 3, 224, 224)
    features = network(images)
    assert features.shape == (2, network.num_features) == (2, 4096)
    assert features.count_nonzero() > 0
    torch.testing.assert_close(
        features, alexnet_by_hand(network.state_dict(), images), rtol=1e-4, atol=1e-4
    )


def test_parameters_have_the_names_of_deepclusters_checkpoints(alexnet: AlexNet) -> None:
    convolutions_and_norms = {0, 1, 4, 5, 8, 9, 11, 12, 14, 15}
    layers = [f"features.{index}" for index in convolutions_and_norms]
    layers += ["classifier.1", "classifier.4"]
    expected = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert {name for name, _ in alexnet.named_parameters()} == expected


def test_number_of_parameters(alexnet: AlexNet) -> None:
    convolutions = 34_944 + 614_656 + 885_120 + 1_327_488 + 884_992
    norms = 2 * (96 + 256 + 384 + 384 + 256)
    linears = (9216 + 1) * 4096 + (4096 + 1) * 4096
    assert sum(p.numel() for p in alexnet.parameters()) == convolutions + norms + linears


def test_initialisation_is_deepclusters(alexnet: AlexNet) -> None:
    for layer in alexnet.modules():
        if isinstance(layer, nn.Conv2d):
            std = math.sqrt(2 / (layer.kernel_size[0] ** 2 * layer.out_channels))
        elif isinstance(layer, nn.Linear):
            std = 0.01
        else:
            continue
        assert layer.weight.std().item() == pytest.approx(std, rel=0.03)
        assert layer.weight.mean().item() == pytest.approx(0, abs=0.03 * std)
        assert layer.bias is not None
        assert layer.bias.count_nonzero() == 0


@torch.no_grad()
def test_stages_are_rectified_and_not_yet_pooled(alexnet: AlexNet) -> None:
    maps = stage_features(alexnet, torch.randn(1, 3, 224, 224), list(alexnet.stages))
    shapes = {name: tuple(stage.shape[1:]) for name, stage in maps.items()}
    assert shapes == {
        "conv1": (96, 55, 55),
        "conv2": (256, 27, 27),
        "conv3": (384, 13, 13),
        "conv4": (384, 13, 13),
        "conv5": (256, 13, 13),
    }
    assert all(stage.min() == 0 for stage in maps.values())


@torch.no_grad()
def test_images_of_other_sizes_are_refused_exactly_where_the_layers_would_not_fit(
    alexnet: AlexNet,
) -> None:
    for height, width in ((223, 254), (254, 223)):
        assert alexnet(torch.zeros(1, 3, height, width)).shape == (1, 4096)
    for height, width in ((222, 224), (224, 255)):
        maps = alexnet.features(torch.zeros(1, 3, height, width))
        assert maps.shape[-2:] != (6, 6)
        with pytest.raises(ValueError, match=f"{height} x {width} pixels, expected sides from 223"):
            alexnet(torch.zeros(1, 3, height, width))
