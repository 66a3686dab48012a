"""Every file of conf/model composes and builds what the LightningModule asks for."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, MissingMandatoryValue

from odc_lightning.models import VGG16, AlexNet, Backbone, ConvNet, ResNet, TimmBackbone

CONF = Path(__file__).parents[2] / "conf"


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
    if backbone_type is TimmBackbone:
        pytest.importorskip("timm")
    config = model_config(*overrides)
    backbone = instantiate(config.backbone)
    neck = instantiate(config.neck)(in_features=backbone.num_features)
    head = instantiate(config.head)(in_features=neck.out_features, num_clusters=7)
    assert isinstance(backbone, backbone_type)
    assert backbone.num_features == num_features
    assert head(neck(torch.randn(2, num_features))).shape == (2, 7)


def test_every_model_file_is_tested_and_shares_the_papers_neck() -> None:
    names = {path.stem for path in (CONF / "model").glob("*.yaml")} - {"base"}
    assert names == {"alexnet", "vgg16", "resnet18", "resnet50", "timm", "convnet"}
    for name in names:
        neck = model_config(f"+model={name}").neck
        assert (neck.hidden_features, neck.out_features, neck.dropout) == (512, 256, 0.5)


def test_timm_asks_for_the_networks_name() -> None:
    with pytest.raises(MissingMandatoryValue, match=r"backbone\.name"):
        instantiate(model_config("+model=timm").backbone)
