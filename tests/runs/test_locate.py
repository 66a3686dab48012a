"""Where the files of a run's data are today."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from odc_lightning.checkpoints import TrainingRun
from odc_lightning.runs.locate import locate, started_in


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingRun:
    """A run that was started in `project`, in whose photos it trained; we are elsewhere."""
    folder = tmp_path / "project" / "outputs" / "mine"
    (folder / ".hydra").mkdir(parents=True)
    started = {"hydra": {"runtime": {"cwd": str(tmp_path / "project")}}}
    OmegaConf.save(OmegaConf.create(started), folder / ".hydra" / "hydra.yaml")
    (tmp_path / "project" / "photos").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return TrainingRun(folder, folder / "checkpoints" / "last.ckpt")


def data(root: str | None = "photos", **more: Any) -> DictConfig:
    train = {"root": root, **more}
    return OmegaConf.create({"root": root, "train": train, "val": None, "subset": None})


def test_a_relative_path_starts_where_the_training_was_started(
    run: TrainingRun, tmp_path: Path
) -> None:
    assert started_in(run) == tmp_path / "project"
    config = data()
    (tmp_path / "elsewhere" / "photos").mkdir()  # other photos, which must not be taken
    locate(config, run)
    assert config.root == config.train.root == str(tmp_path / "project" / "photos")
    here = data(".")
    locate(here, run)
    assert Path(here.root) == tmp_path / "project"


def test_a_project_that_was_moved_as_a_whole(run: TrainingRun, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    (tmp_path / "project").rename(moved)
    folder = moved / "outputs" / "mine"
    config = data()
    locate(config, TrainingRun(folder, folder / "checkpoints" / "last.ckpt"))
    assert config.root == str(moved / "photos")


def test_otherwise_it_starts_here(run: TrainingRun, tmp_path: Path) -> None:
    (run.folder / ".hydra" / "hydra.yaml").write_text("hydra: {runtime: [")
    assert started_in(run) is None
    (tmp_path / "elsewhere" / "photos").mkdir()
    config = data()
    locate(config, run)
    assert config.root == "photos"


@pytest.mark.parametrize("text", ["", "[]", "hydra: null", "hydra: {runtime: {}}", "a: ${b", "\0"])
def test_other_records_are_not_needed(run: TrainingRun, text: str) -> None:
    (run.folder / ".hydra" / "hydra.yaml").write_text(text)
    assert started_in(run) is None


def test_a_given_folder_replaces_the_root_everywhere(run: TrainingRun) -> None:
    config = data("/old/set")
    config.train.root = "/old/set/train"
    config.val = {"root": "/old/set/val"}
    locate(config, run, "/new")
    assert (config.root, config.train.root, config.val.root) == ("/new", "/new/train", "/new/val")


def test_references_follow(run: TrainingRun) -> None:
    config = OmegaConf.create(
        {"data": {"root": "/old/", "train": {"root": "${data.root}"}, "val": {"root": "/other"}}}
    )
    locate(config.data, run, "/new")
    assert config.data.train.root == "/new"
    assert config.data.val.root == "/other"


def test_a_list_may_stay_where_it_was(run: TrainingRun, tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    listing.touch()
    config = data(None, path=str(listing))
    locate(config, run, "/new")
    assert (config.root, config.train.root, config.train.path) == ("/new", "/new", str(listing))
