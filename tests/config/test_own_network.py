"""The network and the input that pretrained weights bring along."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import save_file

from conftest import Compose
from odc_lightning.checkpoints.timm_weights import WeightsUnavailable
from odc_lightning.config.own_network import own_backbone, with_fitting_size, with_own_network
from odc_lightning.config.prepare import prepare
from odc_lightning.models import AlexNet, ConvNet, ResNet, TimmBackbone

DINOV2 = "timm:vit_small_patch14_dinov2.lvd142m"
OPEN = ("model.backbone=null", "data.image_size=null")
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
LITE = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])


def input_of(config: DictConfig) -> tuple[Any, ...]:
    data = OmegaConf.to_container(config.data, resolve=False)
    assert isinstance(data, dict)
    return data["image_size"], data["mean"], data["std"], data["interpolation"]


def test_timms_weights(compose_config: Compose) -> None:
    given = compose_config(*OPEN, f"model.pretrained={DINOV2}")
    config, lines = with_own_network(given)
    assert config.model.backbone == {
        "_target_": "odc_lightning.models.TimmBackbone",
        "name": "vit_small_patch14_dinov2.lvd142m",
    }
    assert input_of(config) == (518, *IMAGENET, "bicubic")
    assert [line.partition("=")[0] for line in lines] == [
        *("model.backbone", "data.image_size", "data.mean", "data.std", "data.interpolation")
    ]
    assert "data.image_size=518: the pretrained network's own" in lines
    given.data.update({"image_size": 98, "mean": [0.5, 0.5, 0.5]})
    config, lines = with_own_network(given)
    assert input_of(config) == (98, [0.5, 0.5, 0.5], IMAGENET[1], "bicubic")
    assert len(lines) == 3


def test_a_given_network_stays_if_it_is_the_same(compose_config: Compose) -> None:
    weights = f"model.pretrained={DINOV2}"
    config, _ = with_own_network(compose_config("model=timm", weights))
    assert config.model.backbone.name == DINOV2.removeprefix("timm:")
    named = ("model=timm", "model.backbone.name=vit_small_patch14_dinov2")
    config, _ = with_own_network(compose_config(*named, "+model.backbone.img_size=28", weights))
    assert config.model.backbone.img_size == 28
    for other, found in (
        ("model=convnet", "ConvNet"),
        ("model.backbone.name=resnet18", "resnet18"),
    ):
        words = (other,) if other.startswith("model=") else ("model=timm", other)
        with pytest.raises(ValueError, match=f"but model.backbone is {found}; add model=timm"):
            with_own_network(compose_config(*words, weights))
    with pytest.raises(WeightsUnavailable, match="did you mean resnet18"):
        with_own_network(compose_config("model=timm", "model.pretrained=timm:resnet19"))


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (lambda: ResNet("resnet18"), {"name": "resnet18", "small_images": False, "sobel": False}),
        (
            lambda: ResNet("resnet18", small_images=True, sobel=True),
            {"name": "resnet18", "small_images": True, "sobel": True},
        ),
        (lambda: ConvNet(8), {"width": 8, "sobel": False}),
        (lambda: AlexNet(sobel=True), {"sobel": True}),
    ],
)
def test_files_tell_their_network(network: Any, expected: dict[str, Any], tmp_path: Path) -> None:
    with torch.device("meta"):
        made = network()
    made.to_empty(device="cpu")
    for value in made.state_dict().values():
        value.zero_()
    torch.save({"state_dict": made.state_dict()}, tmp_path / "file.pth")
    config = own_backbone(str(tmp_path / "file.pth"))
    assert config == {"_target_": f"odc_lightning.models.{type(made).__name__}", **expected}
    instantiate(config).load_state_dict(made.state_dict())


def test_the_input_of_files(compose_config: Compose, tmp_path: Path) -> None:
    for name, network, expected in (
        ("resnet.pth", ResNet("resnet18"), (224, *IMAGENET, "bilinear")),
        ("convnet.pth", ConvNet(4), (None, None, None, None)),
    ):
        torch.save(network.state_dict(), tmp_path / name)
        config, _ = with_own_network(compose_config(*OPEN, f"model.pretrained={tmp_path / name}"))
        assert input_of(config) == expected
    torch.save({"layer.weight": torch.zeros(2, 2)}, tmp_path / "unknown.pth")
    with pytest.raises(ValueError, match=r"which network its weights are of; name it: model=alex"):
        own_backbone(str(tmp_path / "unknown.pth"))
    named = ("model=timm", "model.backbone.name=tf_efficientnet_lite0", "data.image_size=null")
    file = f"model.pretrained={tmp_path / 'unknown.pth'}"
    assert input_of(with_own_network(compose_config(*named, file))[0]) == (224, *LITE, "bicubic")


def test_a_folder_of_timm(compose_config: Compose, tmp_path: Path) -> None:
    about = {
        "architecture": "resnet10t",
        "model_args": {"act_layer": "relu", "checkpoint_path": "/etc/passwd"},
        "pretrained_cfg": {
            **{"tag": "c3_in1k", "input_size": [3, 176, 176], "interpolation": "bicubic"},
            **{"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(about))
    save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "model.safetensors")
    config, _ = with_own_network(compose_config(*OPEN, f"model.pretrained={tmp_path}"))
    assert dict(config.model.backbone) == {
        **{"_target_": "odc_lightning.models.TimmBackbone", "name": "resnet10t.c3_in1k"},
        "act_layer": "relu",
    }
    assert input_of(config) == (176, [0.1, 0.2, 0.3], [0.4, 0.5, 0.6], "bicubic")


def test_a_config_beside_weights_builds_no_unknown_code(tmp_path: Path) -> None:
    backbone = {"_target_": "os.system", "command": "touch here"}
    about = {"architecture": "x", "odc_lightning": {"backbone": backbone}}
    (tmp_path / "config.json").write_text(json.dumps(about))
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"would run os\.system.*model\.pretrained_trusted=true"):
        own_backbone(str(tmp_path))


def test_a_run(photos_run: Path, compose_config: Compose) -> None:
    config, _ = with_own_network(compose_config(*OPEN, f"model.pretrained={photos_run}"))
    assert config.model.backbone == {
        **{"_target_": "odc_lightning.models.ConvNet", "width": 8, "sobel": False}
    }
    assert input_of(config) == (16, *LITE, "bilinear")


@pytest.mark.parametrize(
    ("name", "side", "expected"),
    [
        ("vit_small_patch14_dinov2", 98, 98),
        ("vit_small_patch14_dinov2", 518, None),  # its own size
        ("vit_small_patch16_dinov3", 96, 96),
        ("convnext_atto", 96, None),  # any size
    ],
)
def test_a_transformer_is_built_for_the_size_of_the_images(
    name: str, side: int, expected: int | None, compose_config: Compose
) -> None:
    words = ("model=timm", f"model.backbone.name={name}", f"data.image_size={side}")
    config = with_fitting_size(compose_config(*words))
    assert config.model.backbone.get("img_size") == expected
    assert (
        with_fitting_size(compose_config(*words, "+model.backbone.img_size=28")).model.backbone[
            "img_size"
        ]
        == 28
    )
    assert isinstance(instantiate(config.model.backbone), TimmBackbone)


def test_prepared(compose_config: Compose) -> None:
    """All of it reaches the config that a training uses."""
    words = ("experiment=odc_small", "data.subset={num_images: 100}", "trainer.accelerator=cpu")
    prepared = prepare(
        compose_config(*words, "model=timm", f"model.pretrained={DINOV2}", "data.image_size=28")
    )
    backbone = prepared.config.model.backbone
    assert (backbone.name, backbone.img_size) == (DINOV2.removeprefix("timm:"), 28)
    steps = prepared.config.data.eval_transform.transforms
    assert (steps[0].size, steps[0].interpolation, steps[-1].mean) == (28, 3, IMAGENET[0])
    assert (
        sum(bool(re.match(r"data\.(mean|std|interpolation)=", line)) for line in prepared.lines)
        == 3
    )
    assert prepared.config.data.train_transform.transforms[-1].std == IMAGENET[1]
