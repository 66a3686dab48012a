"""Every file of conf/model composes and builds what the LightningModule asks for."""

from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, MissingMandatoryValue
from torch import nn

from helpers.paths import CONF
from odc_lightning.models import VGG16, AlexNet, Backbone, ConvNet, ResNet, TimmBackbone


def model_config(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(overrides=list(overrides))
    model = config.model
    assert isinstance(model, DictConfig)
    return model


@pytest.mark.parametrize(
    ("overrides", "backbone_type", "num_features"),
    [
        (["+model=alexnet"], AlexNet, 4096),
        (["+model=vgg16"], VGG16, 4096),
        (["+model=resnet18"], ResNet, 512),
        (["+model=resnet18", "model.backbone.small_images=true"], ResNet, 512),
        (["+model=resnet50"], ResNet, 2048),
        (["+model=timm", "model.backbone.name=convnext_atto"], TimmBackbone, 320),
        (["+model=convnet"], ConvNet, 192),
        (["+model=convnet", "model.backbone.width=16"], ConvNet, 128),
    ],
)
def test_backbone_neck_and_head_fit_together(
    overrides: list[str], backbone_type: type[Backbone], num_features: int
) -> None:
    config = model_config(*overrides)
    backbone = instantiate(config.backbone)
    assert isinstance(backbone, backbone_type)
    assert backbone.num_features == num_features
    for name in ("nonlinear", "none"):
        neck = part("neck", name)(in_features=backbone.num_features)
        head = part("head", "linear")(in_features=neck.out_features, num_clusters=7)
        assert head(neck(torch.randn(2, num_features))).shape == (2, 7)


def part(group: str, name: str) -> Any:
    """The partial of a neck or a head."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose(overrides=[f"+{group}={name}"])[group])


def test_every_model_file_is_tested() -> None:
    names = {path.stem for path in (CONF / "model").glob("*.yaml")} - {"base", "auto"}
    assert names == {"alexnet", "vgg16", "resnet18", "resnet50", "timm", "convnet"}


@pytest.mark.parametrize("model", ["alexnet", "vgg16", "resnet18", "resnet50", "convnet"])
def test_a_sobel_filter_goes_in_front(model: str) -> None:
    backbone = instantiate(model_config(f"+model={model}", "model.backbone.sobel=true").backbone)
    first = next(layer for layer in backbone.modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == 2
    side = 224 if model in ("alexnet", "vgg16") else 64
    coloured = torch.rand(2, 3, side, side)
    gray = coloured.mean(dim=1, keepdim=True).expand_as(coloured)
    backbone.eval()
    torch.testing.assert_close(backbone(coloured), backbone(gray), atol=1e-4, rtol=1e-4)
    assert not [name for name in backbone.state_dict() if "sobel" in name]
    maps = backbone.maps(coloured)
    assert maps.shape[:2] == (2, backbone.map_channels)


def test_timm_asks_for_the_networks_name() -> None:
    with pytest.raises(MissingMandatoryValue, match=r"backbone\.name"):
        instantiate(model_config("+model=timm").backbone)
