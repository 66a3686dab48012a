"""The timm adapter; without the extra only its error can be tested."""

import sys

import pytest
import torch

from odc_lightning.models import TimmBackbone, stage_features


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
    pytest.importorskip("timm")
    backbone = TimmBackbone(name).eval()
    images = torch.randn(2, 3, 64, 64)
    assert backbone(images).shape == (2, backbone.num_features) == (2, num_features)

    assert list(backbone.stages) == [f"conv{i}" for i in range(1, num_stages + 1)]
    maps = stage_features(backbone, images, list(backbone.stages))
    heights = [stage.shape[2] for stage in maps.values()]
    assert heights == sorted(heights, reverse=True)


def test_further_arguments_reach_timm() -> None:
    pytest.importorskip("timm")
    stem = TimmBackbone("resnet18", in_chans=1).get_submodule("network.conv1")
    assert next(stem.parameters()).shape[1] == 1


def test_a_missing_timm_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # makes "import timm" fail
    with pytest.raises(ModuleNotFoundError, match=r"pip install odc-lightning\[timm\]"):
        TimmBackbone("resnet18")
