import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from odc_lightning.config import CONFIG_DIR
from odc_lightning.train import IRRELEVANT_WARNINGS

Compose = Callable[..., DictConfig]


@pytest.fixture(autouse=True)
def _without_irrelevant_warnings() -> None:
    for message in IRRELEVANT_WARNINGS:
        warnings.filterwarnings("ignore", message)


@pytest.fixture
def compose_config(tmp_path: Path) -> Compose:
    """Compose train.yaml with overrides; the run folder is ``tmp_path / "run"``."""

    def compose_with(*overrides: str, run: str = "run") -> DictConfig:
        with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
            return compose("train", [f"run_dir={tmp_path / run}", *overrides])

    return compose_with
