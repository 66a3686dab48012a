"""The methods of `make small-data`: all under one protocol, and all of them run."""

import re
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from scripts.small_data.table import METHODS, collect

from conftest import Compose
from helpers.paths import SCRIPTS
from odc_lightning.config import CONFIG_DIR
from odc_lightning.evaluate import evaluate
from odc_lightning.train import train

OWN = f"hydra.searchpath=[file://{SCRIPTS / 'small_data' / 'conf'}]"
TRAINED = [method for method in METHODS if method != "untrained"]
VIEWS = {"rotation": 4, "odc_small": 2, "dcv2": 2, "simclr": 2, "swav": 2}
# 300 digits bear fewer clusters.
FEWER = {
    "odc": ("algorithm.num_clusters=10", "algorithm.small_clusters.threshold=5"),
    "dc": ("algorithm.num_clusters=10",),
    "dcv2": ("algorithm.num_clusters=10",),
}


def test_the_makefile_runs_what_the_table_shows() -> None:
    makefile = (SCRIPTS / "experiments" / "small_data.mk").read_text()
    (line,) = re.findall(r"^METHODS := (.*)$", makefile, re.MULTILINE)
    assert line.split() == TRAINED
    files = (SCRIPTS / "small_data" / "conf" / "experiment").glob("small_*.yaml")
    assert {path.stem for path in files} == {f"small_{method}" for method in ("base", *TRAINED)}


@pytest.mark.parametrize("method", TRAINED)
def test_all_see_as_many_views_under_the_same_settings(
    compose_config: Compose, method: str
) -> None:
    config = compose_config(f"experiment=small_{method}", OWN)
    views = VIEWS.get(method, 1)
    assert config.name == method
    assert views * config.data.batch_size == 64
    assert views * config.trainer.max_epochs * config.data.subset.num_images == 320_000
    assert config.data.num_views == (1 if method == "rotation" else views)
    base = compose_config("experiment=small_base", OWN)
    for key in ("optimizer", "scheduler._target_", "callbacks", "model.backbone"):
        assert OmegaConf.select(config, key) == OmegaConf.select(base, key), key
    for key in ("subset", "train", "val", "train_transform", "eval_transform"):
        assert config.data[key] == base.data[key], key
    assert config.scheduler.T_max == config.trainer.max_epochs
    if method == "simclr":
        assert config.algorithm.num_clusters == 2 * config.data.batch_size - 1


@pytest.mark.long
def test_every_method_trains_and_its_network_is_measured(
    compose_config: Compose, compose_evaluation: Compose, tmp_path: Path
) -> None:
    images = ("data=digits", "data.subset={num_images: 300}", "model.backbone.width=2")
    for method in TRAINED:
        settings = (f"experiment=small_{method}", *images, *FEWER.get(method, ()))
        quick = ("debug=fast", "trainer.accelerator=cpu", OWN)
        summary: Any = train(compose_config(*settings, *quick, run=f"trained/{method}"))
        assert summary["train_loss"] > 0, method
    evaluate(
        compose_evaluation(
            "benchmark=small_data",
            f"checkpoint={tmp_path / 'trained' / 'simclr'}",
            "protocol.linear.max_epochs=1",
            "protocol.low_shot.draws=1",
            "protocol.low_shot.costs=[1.0]",
            "protocol.low_shot.n_jobs=1",
            "trainer.accelerator=cpu",
            OWN,
            run="evaluated/simclr/0",
        )
    )
    ((only,),) = collect(tmp_path / "evaluated").values()
    assert all(0 < figure <= 100 for figure in only)


def test_letters_are_a_folder_of_classes(compose_config: Compose) -> None:
    config = compose_config("experiment=odc_small", "data=letters", "data.root=here", OWN)
    assert (config.data.flip, config.data.image_size, config.data.batch_size) == (0, 32, None)
    assert config.data.train.labels_from_folder is True
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        alone = compose("evaluate", ["data=letters", "data.root=here", "model=convnet", OWN])
    assert alone.data.eval_transform == config.data.eval_transform


STUDIED = {"study_odc": ("odc", "as_published"), "study_recipe": ("odc_small", "as_recommended")}
CHANGES = [
    (study, file.stem)
    for study in STUDIED
    for file in sorted((SCRIPTS / "small_data" / "conf" / study).glob("*.yaml"))
]


@pytest.mark.parametrize(("study", "change"), CHANGES)
def test_the_study_changes_one_thing(compose_config: Compose, study: str, change: str) -> None:
    method, unchanged = STUDIED[study]
    plain = compose_config(f"experiment=small_{method}", OWN)
    changed = compose_config(f"experiment=small_{method}", f"+{study}={change}", OWN)
    assert changed.name == change
    one, other = leaves(plain), leaves(changed)
    different = {".".join(path) for path in {*one, *other} if one.get(path) != other.get(path)} - {
        "name"
    }
    assert bool(different) == (change != unchanged), different


def leaves(config: Any, above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every value of a config by its path."""
    if above == () and OmegaConf.is_config(config):
        config = OmegaConf.to_container(config)
    children = (
        config.items()
        if isinstance(config, dict)
        else enumerate(config)
        if isinstance(config, list)
        else None
    )
    if not children:
        return {above: config}
    found: dict[tuple[str, ...], Any] = {}
    for key, value in children:
        found |= leaves(value, (*above, str(key)))
    return found
