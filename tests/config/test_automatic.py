"""The network and the size of images that a machine gets."""

from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from conftest import Compose
from helpers.run_folders import CONFIG
from odc_lightning.checkpoints import TrainingRun
from odc_lightning.cli.odc import translated
from odc_lightning.config import automatic
from odc_lightning.config.automatic import usual_side, with_automatic_settings
from odc_lightning.config.heuristics import SuitedNetwork, suited_network
from odc_lightning.data import ArraySource, FileSource
from odc_lightning.train import train

# With these, nothing follows from the number of images.
GIVEN = (
    *("algorithm.num_clusters=2", "data.batch_size=2"),
    *("trainer.max_epochs=1", "optimizer.lr=0.1"),
)


@pytest.mark.parametrize(
    ("side", "has_gpu", "expected"),
    [
        (3000, False, SuitedNetwork("convnet", True, 64)),
        (3000, True, SuitedNetwork("resnet18", False, 128)),
        (100, True, SuitedNetwork("resnet18", False, 96)),
        (64, True, SuitedNetwork("resnet18", True, 64)),
        (28, False, SuitedNetwork("convnet", True, 24)),
        (5, False, SuitedNetwork("convnet", True, 16)),
    ],
)
def test_what_suits(side: float, has_gpu: bool, expected: SuitedNetwork) -> None:
    assert suited_network(side, has_gpu) == expected


def test_the_usual_side(tmp_path: Path) -> None:
    names = []
    for number, size in enumerate([(40, 90), (80, 50), (60, 60), (1000, 2000), (45, 45)]):
        names.append(f"{number}.png")
        Image.new("RGB", size).save(tmp_path / names[-1])
    (tmp_path / "damaged.png").write_bytes(b"no image")
    assert usual_side(FileSource(tmp_path, [*names, "damaged.png"])) == 50
    assert usual_side(ArraySource(np.zeros((3, 20, 30), np.uint8), "x")) == 20


@pytest.mark.parametrize("has_gpu", [False, True])
def test_what_is_open_is_filled_and_what_is_given_stays(
    has_gpu: bool, compose_config: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(automatic, "trains_on_gpu", lambda accelerator: has_gpu)
    for number in range(4):
        Image.new("RGB", (200, 300), (number, 0, 0)).save(tmp_path / f"{number}.png")
    words = translated("train", [str(tmp_path), "model.pretrained=null"])
    config, lines = with_automatic_settings(compose_config(*words, *GIVEN))
    assert config.data.image_size == (128 if has_gpu else 64)
    assert config.data.eval_transform.transforms[1].size == config.data.image_size
    assert type(instantiate(config.model.backbone)).__name__ == ("ResNet" if has_gpu else "ConvNet")
    assert [line.partition("=")[0] for line in lines] == ["data.image_size", "model"]
    assert "sides of about 200 pixels" in lines[0]
    config, lines = with_automatic_settings(compose_config(*words, *GIVEN, "data.image_size=32"))
    assert config.data.image_size == 32
    assert len(lines) == 1
    given = compose_config("experiment=quickstart", *GIVEN)
    assert with_automatic_settings(given) == (given, [])


def test_a_folder_and_nothing_else(
    compose_config: Compose, new_photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = translated("train", [str(new_photos), "model.pretrained=null"])
    config = compose_config(*words, "trainer.max_epochs=1", "trainer.accelerator=cpu")
    with caplog.at_level("INFO"):
        summary = train(config)
    assert summary is not None
    assert (summary["num_samples"], summary["num_clusters"]) == (70, 17)
    for said in ("data.image_size=16", "model=convnet", "algorithm.num_clusters=17", "batch_size"):
        assert said in caplog.text
    run = TrainingRun(tmp_path / "run", tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert run.config.data.image_size == 16
    assert run.config.model.backbone._target_ == "odc_lightning.models.ConvNet"


def test_what_a_run_chose_is_in_its_unresolved_config_too(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    open_config = {"data": {"size": None, "view": "${data.size}"}, "model": None, "c": None}
    of_run = {"data": {"size": 16, "view": 16}, "model": {"width": 8}, "c": None}
    chosen = OmegaConf.to_container(OmegaConf.merge(CONFIG, of_run))
    assert isinstance(chosen, dict)
    OmegaConf.save(OmegaConf.create(open_config), tmp_path / ".hydra" / "config.yaml")
    OmegaConf.save(OmegaConf.create(chosen), tmp_path / "config.yaml")
    config = TrainingRun(tmp_path, tmp_path / "last.ckpt").unresolved_config
    plain = OmegaConf.to_container(config)
    assert plain == {**chosen, "data": {**chosen["data"], "size": 16, "view": "${data.size}"}}
