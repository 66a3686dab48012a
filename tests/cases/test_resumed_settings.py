"""What a resumed run uses is what its records say, whatever the command names."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from PIL import Image

from conftest import Compose
from helpers.equal_runs import checkpoint
from odc_lightning.train import main, train

SMALL = (
    *("experiment=odc_small", "data=digits", "data.subset={num_images: 64}"),
    *("data.num_workers=0", "model.backbone.width=4", "trainer.accelerator=cpu"),
    *("algorithm.num_clusters=10", "callbacks.label_scores.knn=false"),
)
Command = Callable[..., None]


def command(folder: Path, *settings: str) -> None:
    """The command with Hydra around it, in this process, in a run folder."""
    words = ["train", f"hydra.run.dir={folder}", "train.resume=auto", *settings]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", words)
        GlobalHydra.instance().clear()
        main()


@pytest.fixture
def odc_train(tmp_path: Path) -> Command:
    """The command; its run folder is ``tmp_path / "run"`` unless it names another."""
    return lambda *settings, run="run": command(tmp_path / run, *settings)


@pytest.fixture(scope="module")
def epoch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one epoch at a constant rate, made once."""
    folder = tmp_path_factory.mktemp("once") / "run"
    command(folder, *SMALL, "trainer.max_epochs=1", "optimizer.lr=0.03", "scheduler=constant")
    return folder


@pytest.fixture
def run(epoch: Path, tmp_path: Path) -> Path:
    """A copy of that run, in ``tmp_path / "run"``."""
    return shutil.copytree(epoch, tmp_path / "run")


def config_of(run: Path) -> Any:
    return OmegaConf.load(run / "config.yaml")


def group(run: Path) -> dict[str, Any]:
    """The optimiser's settings of the network's body, as the last checkpoint has them."""
    settings: dict[str, Any] = checkpoint(run)["optimizer_states"][0]["param_groups"][0]
    return settings


def refused(odc_train: Command, run: Path, *settings: str) -> str:
    """The message of a command that leaves every file as it is."""
    files = (file for file in run.rglob("*") if file.is_file() and file.suffix != ".log")
    before = {file: file.read_bytes() for file in files}
    with pytest.raises(SystemExit) as ended:
        odc_train(*settings)
    assert {file: file.read_bytes() for file in before} == before
    return str(ended.value.code)


def test_the_run_is_resumed_with_its_own_settings_and_the_schedule_of_its_whole_length(
    odc_train: Command, tmp_path: Path
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    odc_train(*SMALL, "trainer.max_epochs=4", "optimizer.lr=0.03", run="whole")
    odc_train(*SMALL, "trainer.max_epochs=2", "optimizer.lr=0.03")
    first = config_of(run)
    assert group(run)["lr"] == 0.0  # a cosine that has ended

    odc_train("trainer.max_epochs=4")  # and nothing else: the defaults of the program are not asked
    assert checkpoint(run)["lr_schedulers"] == checkpoint(whole)["lr_schedulers"]
    assert checkpoint(run)["global_step"] == checkpoint(whole)["global_step"]

    first.trainer.max_epochs, first.scheduler.T_max = 4, 4
    first.train.resume, first.ckpt_path = "auto", config_of(run).ckpt_path
    assert config_of(run) == first
    unresolved = OmegaConf.load(run / ".hydra" / "config.yaml")
    assert OmegaConf.to_container(unresolved)["scheduler"]["T_max"] == "${trainer.max_epochs}"  # type: ignore


def test_what_the_command_changes_is_used_and_recorded_or_refused(
    odc_train: Command, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(odc_train, run, "data.batch_size=8", "seed=1", "algorithm.num_clusters=9")
    for each in ("data.batch_size=8, but the run has 16", "seed=1", "num_clusters=9, but the run"):
        assert each in said
    assert "model.backbone" in refused(odc_train, run, "model=resnet18", "trainer.max_epochs=2")

    changes = ("optimizer.lr=0.001", "optimizer.weight_decay=0")
    odc_train("trainer.max_epochs=2", *changes, "algorithm.samples_memory.momentum=0.9")
    assert "changed on resume: optimizer.lr=0.001 (it was 0.03)" in capsys.readouterr().out
    assert (group(run)["lr"], group(run)["weight_decay"]) == (0.001, 0)
    assert (config_of(run).optimizer.lr, config_of(run).optimizer.weight_decay) == (0.001, 0)

    # A group: its other option is used, the option that the run has changes nothing.
    odc_train("trainer.max_epochs=3", "scheduler=step", "scheduler.milestones=[2]")
    assert group(run)["lr"] == pytest.approx(0.0001)
    odc_train(*SMALL, "trainer.max_epochs=4", "scheduler=step")  # without the milestones
    assert config_of(run).scheduler.milestones == [2]
    assert config_of(run).algorithm.samples_memory.momentum == 0.9


def test_nothing_is_chosen_again(odc_train: Command, tmp_path: Path) -> None:
    photos, run = tmp_path / "photos", tmp_path / "run"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for index in range(60):
        pixels = rng.integers(256, size=(16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{index:02}.png")
    folder = (
        *(
            "experiment=odc_small",
            "data=image_folder",
            f"data.root={photos}",
            "data.image_size=null",
        ),
        *("model.backbone=null", "data.num_workers=0", "trainer.accelerator=cpu"),
    )
    odc_train(*folder, "trainer.max_epochs=2")
    assert config_of(run).algorithm.num_clusters == 15
    for length in ("1", "2"):
        said = refused(odc_train, run, *folder, f"trainer.max_epochs={length}", "optimizer.lr=1")
        assert f"trainer.max_epochs={length}: already finished" in said
        assert "has trained for 2 epochs" in said
    (photos / "more.png").write_bytes((photos / "00.png").read_bytes())  # C would be 16
    said = refused(odc_train, run, *folder, "trainer.max_epochs=3")
    assert "the images are not those of the checkpoint (60 there, 61 here" in said


def test_a_run_that_was_stopped_before_its_first_checkpoint_begins_with_its_settings(
    odc_train: Command, run: Path
) -> None:
    for file in (run / "checkpoints").iterdir():
        file.unlink()
    odc_train("seed=3")
    assert (config_of(run).seed, config_of(run).optimizer.lr) == (3, 0.03)
    assert config_of(run).data.subset == {"num_images": 64}


def test_a_run_resumes_in_another_folder_and_after_it_was_moved(
    odc_train: Command, compose_config: Compose, run: Path, tmp_path: Path
) -> None:
    moved = run.rename(tmp_path / "moved")
    odc_train("trainer.max_epochs=2", run="moved")
    assert not run.exists()
    assert checkpoint(moved)["global_step"] == 8
    last = f"ckpt_path={moved / 'checkpoints' / 'last.ckpt'}"
    odc_train("train.resume=null", last, "trainer.max_epochs=3", run="other")
    assert config_of(tmp_path / "other").algorithm.num_clusters == 10
    assert checkpoint(tmp_path / "other")["global_step"] == 12
    # A call of `train` names all keys.
    with pytest.raises(ValueError, match=r"optimizer\._target_=torch\.optim\.AdamW, but the run"):
        train(compose_config(*SMALL, last, "optimizer._target_=torch.optim.AdamW", run="call"))


def test_a_strangers_run_runs_no_code(odc_train: Command, run: Path) -> None:
    for target, key in (
        ("os.system", "callbacks.progress"),
        ("odc_lightning.cli.odc.main", "data"),
    ):
        config = config_of(run)
        OmegaConf.update(config, f"{key}._target_", target)
        safe = (run / "config.yaml").read_bytes()
        OmegaConf.save(config, run / "config.yaml")
        assert f"would run {target}" in refused(odc_train, run, "trainer.max_epochs=2")
        (run / "config.yaml").write_bytes(safe)
