"""Networks of timm: features, stages, image sizes, pooling."""

import pytest
import torch

from odc_lightning.models import TimmBackbone, stage_features

# Patches of 16, images of 224 pixels; 192 features.
TINY_VIT = "vit_tiny_patch16_224"


@pytest.mark.parametrize(
    ("name", "num_features", "num_stages"),
    [
        ("resnet18", 512, 5),
        ("convnext_atto", 320, 4),
        ("mobilenetv3_small_050", 1024, 5),  # widens after pooling: 288 channels, 1,024 features
    ],
)
@torch.no_grad()
def test_features_and_stages(name: str, num_features: int, num_stages: int) -> None:
    backbone = TimmBackbone(name).eval()
    images = torch.randn(2, 3, 64, 64)
    assert backbone(images).shape == (2, backbone.num_features) == (2, num_features)

    assert list(backbone.stages) == [f"conv{i}" for i in range(1, num_stages + 1)]
    maps = stage_features(backbone, images, list(backbone.stages))
    heights = [stage.shape[2] for stage in maps.values()]
    assert heights == sorted(heights, reverse=True)


def test_further_arguments_reach_timm() -> None:
    stem = TimmBackbone("resnet18", in_chans=1).get_submodule("network.conv1")
    assert next(stem.parameters()).shape[1] == 1
    with pytest.raises(ValueError, match="cannot build resnet18 with img_size=64"):
        TimmBackbone("resnet18", img_size=64)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet19", "no network 'resnet19'; did you mean resnet18"),
        ("resnet18.nothing", r"no weights 'resnet18\.nothing'; expected one of: resnet18\.a1_in1k"),
    ],
)
def test_an_unknown_name(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TimmBackbone(name)


def test_the_former_key_for_weights_is_named() -> None:
    with pytest.raises(ValueError, match=r"is now model\.pretrained=timm:resnet18"):
        TimmBackbone("resnet18", pretrained=True)
    assert TimmBackbone("resnet10t", pretrained=False).arguments == {}


def test_building_draws_no_further_random_numbers() -> None:
    """The shapes of the stages are computed without the generator, and leave no trace."""
    import timm

    torch.manual_seed(0)
    plain = timm.create_model("resnet10t", num_classes=0)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    backbone = TimmBackbone("resnet10t")
    assert torch.equal(torch.rand(1), drawn)
    own, theirs = backbone.network.state_dict(), plain.state_dict()
    assert all(torch.equal(own[key], value) for key, value in theirs.items())
    assert backbone.network.training


@torch.no_grad()
def test_a_transformer_for_another_size() -> None:
    backbone = TimmBackbone(TINY_VIT, img_size=48).eval()
    assert backbone.stages == {}  # tokens, not maps
    assert backbone(torch.randn(1, 3, 48, 48)).shape == (1, 192)
    with pytest.raises(ValueError, match=r"built for images of 48 pixels and got 64; set data\."):
        backbone.check_size(64)
    with pytest.raises(ValueError, match="expected feature maps"):
        backbone.maps(torch.randn(1, 3, 48, 48))
    with pytest.raises(ValueError, match="a side of 50 pixels is not possible; choose 48 or 64"):
        TimmBackbone(TINY_VIT, img_size=50)
    dynamic = TimmBackbone(TINY_VIT, dynamic_img_size=True).eval()
    assert dynamic(torch.randn(1, 3, 80, 80)).shape == (1, 192)
    with pytest.raises(ValueError, match="a side of 90 pixels is not possible; choose 80 or 96"):
        dynamic(torch.randn(1, 3, 90, 90))


@torch.no_grad()
def test_mean_pooling_keeps_the_weights_of_the_last_norm() -> None:
    token = TimmBackbone("vit_small_patch14_dinov2", img_size=28).eval()
    mean = TimmBackbone("vit_small_patch14_dinov2", img_size=28, global_pool="avg").eval()
    mean.load_state_dict(token.state_dict())  # the same names
    images = torch.randn(2, 3, 28, 28)
    tokens = token.network.forward_features(images)
    torch.testing.assert_close(token(images), tokens[:, 0])
    torch.testing.assert_close(mean(images), tokens[:, 1:].mean(dim=1))
