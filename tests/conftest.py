from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from odc_lightning import evaluate, train
from odc_lightning.command import ignore_warnings
from odc_lightning.config import CONFIG_DIR

Compose = Callable[..., DictConfig]


@pytest.fixture(autouse=True)
def _without_irrelevant_warnings() -> None:
    ignore_warnings((*train.IRRELEVANT_WARNINGS, *evaluate.IRRELEVANT_WARNINGS))


@pytest.fixture
def compose_config(tmp_path: Path) -> Compose:
    """Compose train.yaml with overrides; the run folder is ``tmp_path / "run"``."""
    return composer(tmp_path, "train")


@pytest.fixture
def compose_evaluation(tmp_path: Path) -> Compose:
    """Compose evaluate.yaml with overrides; features go to ``tmp_path`` too."""
    return composer(tmp_path, "evaluate", f"features_dir={tmp_path / 'features'}")


def composer(tmp_path: Path, name: str, *always: str) -> Compose:
    def compose_with(*overrides: str, run: str = "run") -> DictConfig:
        with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
            return compose(name, [f"run_dir={tmp_path / run}", *always, *overrides])

    return compose_with
