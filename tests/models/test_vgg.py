"""VGG-16 against torchvision's, whose layers it shares, and what DeepCluster has in its place."""

import pytest
import torch
import torchvision
from torch import nn

from odc_lightning.models import VGG16, Sobel, stage_features


@pytest.fixture(scope="module")
def vgg() -> VGG16:
    torch.manual_seed(0)
    return VGG16().eval()


@torch.no_grad()
def test_forward_is_torchvisions_up_to_its_last_layer(vgg: VGG16) -> None:
    with torch.device("meta"):
        reference = torchvision.models.vgg16_bn()
    reference.classifier[6] = nn.Identity()
    reference.classifier[5] = nn.Identity()  # dropout
    reference.load_state_dict(vgg.state_dict(), assign=True)
    images = torch.randn(1, 3, 224, 224)
    features = vgg(images)
    assert features.shape == (1, vgg.num_features) == (1, 4096)
    assert features.count_nonzero() > 0
    torch.testing.assert_close(features, reference.eval()(images))


@torch.no_grad()
def test_stages_are_rectified_and_not_yet_pooled(vgg: VGG16) -> None:
    maps = stage_features(vgg, torch.randn(1, 3, 224, 224), list(vgg.stages))
    shapes = {name: tuple(map_.shape[1:]) for name, map_ in maps.items()}
    assert shapes == {
        "conv1": (64, 224, 224),
        "conv2": (128, 112, 112),
        "conv3": (256, 56, 56),
        "conv4": (512, 28, 28),
        "conv5": (512, 14, 14),
    }
    assert all(map_.min() >= 0 for map_ in maps.values())
    assert vgg.maps(torch.randn(1, 3, 224, 224)).shape == (1, vgg.map_channels, 7, 7)


@pytest.mark.parametrize("size", [(223, 224), (224, 256)])
def test_other_sizes_are_refused(vgg: VGG16, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected sides from 224 to 255; crop to 224"):
        vgg(torch.randn(1, 3, *size))


def test_initialisation_is_deepclusters(vgg: VGG16) -> None:
    convolution, linear = vgg.features[3], vgg.classifier[0]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(linear, nn.Linear)
    assert convolution.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.03)
    assert linear.weight.std().item() == pytest.approx(0.01, rel=0.03)
    assert not any(bias.any() for name, bias in vgg.named_parameters() if name.endswith("bias"))


def test_a_sobel_filter_in_front() -> None:
    with torch.device("meta"):
        vgg = VGG16(sobel=True)
    assert isinstance(vgg.sobel, Sobel)
    assert vgg.get_parameter("features.0.weight").shape == (64, 2, 3, 3)
