"""The recipe of `odc train FOLDER`: a pretrained network where its weights can be had."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conftest import Compose, write_photos
from helpers.odc_lines import run_line
from odc_lightning.checkpoints import timm_weights
from odc_lightning.checkpoints.timm_weights import WeightsUnavailable
from odc_lightning.cli.recipe import with_recipe
from odc_lightning.config.heuristics import suited_weights
from odc_lightning.config.prepare import prepare
from odc_lightning.train import train

LINE = ["data=image_folder", "experiment=auto"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of weights that were asked for; all can be had."""
    names: list[str] = []
    monkeypatch.setattr(timm_weights, "fetch", names.append)
    return names


@pytest.mark.parametrize(
    ("settings", "has_gpu", "name"),
    [
        ([], False, "tf_efficientnet_lite0.in1k"),
        ([], True, "vit_small_patch14_dinov2.lvd142m"),
        (["trainer.accelerator=cpu"], True, "tf_efficientnet_lite0.in1k"),
    ],
)
def test_the_network_suits_the_machine(
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
    compose_config: Compose,
    tmp_path: Path,
    settings: list[str],
    has_gpu: bool,
    name: str,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: has_gpu)
    assert with_recipe([*LINE, *settings]) == [LINE[0], "experiment=odc_adapt", *settings]
    assert asked == [name]
    write_photos(tmp_path / "photos", "train", 6)
    images = ("data=image_folder", f"data.root={tmp_path / 'photos'}", "data.num_workers=0")
    config, lines, _ = prepare(compose_config("experiment=odc_adapt", *images, *settings))
    assert config.model.pretrained == f"timm:{name}"
    assert config.model.backbone.name == name
    assert (config.data.image_size, "img_size" in config.model.backbone) == (
        224,
        name.startswith("vit"),
    )
    assert lines[0].startswith(f"model.pretrained=timm:{name}: with")
    assert "Apache 2.0" in lines[0]


def test_without_weights_it_starts_from_scratch_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert with_recipe([*LINE, "data.image_size=32"]) == [
        "data=image_folder",
        *("experiment=odc_small", "model.backbone=null"),
        "augmentation@data.eval_transform=small_images_eval",
        *("train.pages=true", "data.image_size=32"),
    ]
    lost, used = capsys.readouterr().err.splitlines()
    assert lost.startswith("odc train: training starts from random weights, which takes far longer")
    assert "weights of tf_efficientnet_lite0.in1k are not in the local cache and cannot be" in lost
    assert "hf download timm/tf_efficientnet_lite0.in1k --local-dir tf_efficientnet_lite0.i" in lost
    assert used.startswith("odc train: no experiment or algorithm is given, using experiment=odc_s")


def test_nothing_is_looked_for_in_vain(asked: list[str], tmp_path: Path) -> None:
    """Of a config that is only shown, of a missing folder, and of other recipes."""
    for words in (["--cfg", "job", *LINE], ["--cfg=job", *LINE], [*LINE, "data.root='/nowhere'"]):
        assert "experiment=odc_adapt" in with_recipe(words)
    for words in (["experiment=odc_digits"], ["data=digits"]):
        assert with_recipe(words) == words
    shown = run_line("train", str(tmp_path), "--cfg", "job")
    config = OmegaConf.create(shown.out)
    assert (config.name, config.model.pretrained) == ("odc_adapt", "auto")
    assert asked == []


def test_the_experiment_alone_needs_weights(compose_config: Compose, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", "train", 40)
    images = ("data=image_folder", f"data.root={tmp_path / 'photos'}", "trainer.accelerator=cpu")
    config = compose_config("experiment=odc_adapt", *images)
    with pytest.raises(
        WeightsUnavailable, match=r"tf_efficientnet_lite0\.in1k are not in the local cache"
    ):
        train(config)
    assert not Path(config.run_dir).exists()
    resnet = compose_config("experiment=odc_adapt", "model=resnet18", *images)
    with pytest.raises(ValueError, match=r"pretrained=auto chooses the network, but model\.back"):
        train(resnet)
    scratch, _, _ = prepare(
        compose_config("experiment=odc_adapt", "model.pretrained=null", *images)
    )
    assert scratch.model.backbone._target_.endswith("ConvNet")


def test_the_names_are_those_of_timm() -> None:
    for chosen in map(suited_weights, (True, False)):
        assert timm_weights.weights_config(chosen.name).license == "apache-2.0"
