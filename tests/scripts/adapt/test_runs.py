"""The runs of the study: equal budgets, and commands that compose."""

from pathlib import Path

import pytest
from scripts.adapt.runs import (
    FROZEN,
    ONE_VIEW,
    RATES,
    RECIPE,
    RIVALS,
    Budget,
    Run,
    first_runs,
    other_seeds,
    overrides,
    settings,
)

from conftest import compose_command

BUDGET = Budget(542, 16, 2, 6, 47, 0.1)
STUDY = {
    "model": "timm",
    "model.backbone.name": "tf_efficientnet_lite0",
    "model.pretrained": "/a folder/weights=1.pth",
    "data.image_size": 96,
    "data.root": "/images, all/food",
}


def test_each_run_has_a_folder_that_names_it() -> None:
    runs = first_runs(["food", "letters"])
    assert len(set(runs)) == len(runs) == 2 * (1 + 3 + len(RIVALS) * len(RATES))
    assert [run.method for run in runs[:2]] == [FROZEN, FROZEN]  # all others need them
    for run in runs:
        assert Run.at("/any/where" / run.place) == run
    assert {run.place for run in other_seeds(Run("food", "dc", 0.001, 0))} == {
        Path("food/dc/0.001/1"),
        Path("food/dc/0.001/2"),
    }
    assert {run.method for run in first_runs(["food"], ["dc"])} == {FROZEN, "dc"}


@pytest.mark.parametrize("method", RIVALS)
def test_rivals_have_the_recipes_start_and_number_of_views(method: str) -> None:
    config = compose_command("train", *overrides(Run("food", method, 0.001, 2), BUDGET, STUDY))
    recipe = compose_command("train", *overrides(Run("food", RECIPE, None, 2), None, STUDY))
    data, views = config.data, 1 if method in ONE_VIEW else 2
    assert data.num_views == views
    assert views * data.batch_size == 32  # views in a step
    trained = 488 if data.held_back == 0 else 542  # 54 of them are held back by the sampler
    assert (data.subset.num_images if data.subset else 542) == trained
    assert views * config.trainer.max_epochs == 12
    assert config.optimizer.lr == 0.0005
    assert config.model.frozen_statistics is True
    for key in ("optimizer.momentum", "model.backbone", "model.pretrained", "seed", "scheduler"):
        assert str(_at(config, key)) == str(_at(recipe, key)), key
    for key in ("train_transform", "eval_transform", "image_size", "root"):
        assert data[key] == recipe.data[key], key
    clusters = 31 if method == "simclr" else 47
    assert config.algorithm.num_clusters == clusters
    guard = config.callbacks.keep_best
    assert guard is None or data.held_back == 0


def test_letters_are_not_mirrored_and_the_recipe_chooses_itself() -> None:
    config = compose_command("train", *overrides(Run("letters", RECIPE, None, 1), None, STUDY))
    assert (config.data.flip, config.data.batch_size, config.trainer.max_epochs) == (0, None, None)
    assert config.data.train.labels_from_folder is True
    assert config.model.pretrained == "/a folder/weights=1.pth"
    assert config.data.root == "/images, all/food"
    frozen = settings(Run("food", FROZEN, None, 0), None)
    assert frozen == {"experiment": "odc_adapt", "train.only_start": True}


def _at(config: object, key: str) -> object:
    for name in key.split("."):
        config = config[name]  # type: ignore[index]
    return config
