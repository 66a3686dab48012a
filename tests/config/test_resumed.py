"""The table of what a resumed run may change, and references in a recorded config."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from conftest import compose_command
from odc_lightning.checkpoints.references import add_references, leaves
from odc_lightning.cli.odc import translated
from odc_lightning.config.resumed import CHOSEN, MAY_CHANGE, may_change


@pytest.mark.parametrize(
    ("key", "may"),
    [
        ("trainer.max_epochs", True),
        ("trainer.accumulate_grad_batches", False),
        ("optimizer.lr", True),
        ("optimizer._target_", False),
        ("scheduler._target_", True),
        ("data.train_transform", True),
        ("data.batch_size", False),
        ("data.seed", False),
        ("data.held_back", False),
        ("seed", False),
        ("seeds_of_mine", True),
        ("model.backbone.width", False),
        ("model.neck.dropout", True),
        ("model.neck", False),
        ("algorithm.num_clusters", False),
        ("algorithm.small_clusters.threshold", True),
        ("algorithm.small_clusters", False),  # a callback that is added or removed
        ("algorithm.kmeans_bootstrap.iterations", False),
        ("callbacks.label_scores.k", True),
    ],
)
def test_the_longest_entry_decides(key: str, may: bool) -> None:
    assert may_change(key) is may


def test_every_entry_is_a_key_of_some_training() -> None:
    commands = (
        ("experiment=odc_small", "logger=wandb"),
        ("experiment=dc_quickstart",),
        ("experiment=dcv2_fashion_mnist",),
        ("experiment=odc_digits", "neck@model.neck=nonlinear"),
    )
    keys = {
        f"{key}."
        for overrides in commands
        for key, _ in leaves(
            OmegaConf.to_container(compose_command("train", *overrides), resolve=False)
        )
    }
    for entry in {*MAY_CHANGE, *CHOSEN} - {""}:
        assert any(key.startswith(f"{entry}.") for key in keys), entry


def test_references_are_kept_where_they_give_the_recorded_value() -> None:
    config = OmegaConf.create({"a": {"x": 4, "y": 5}, "b": 4, "c": "p/q", "d": "p", "e": None})
    source = {"a": {"x": "${b}", "y": "${b}"}, "b": "${oc.env:HOME}", "c": "${d}/q", "d": "${c}"}
    add_references(config, OmegaConf.create({**source, "e": "${b}", "f": "${b}"}))
    assert OmegaConf.to_container(config) == {
        "a": {"x": "${b}", "y": 5},
        "b": 4,
        "c": "${d}/q",
        "d": "p",
        "e": None,
    }


def test_the_recipe_is_added_only_to_a_run_that_has_it(tmp_path: Path) -> None:
    words = [f"hydra.run.dir={tmp_path}", "train.resume=auto"]
    recipe = "experiment=odc_small"
    assert recipe in translated("train", words)
    (tmp_path / ".hydra").mkdir()
    (tmp_path / "config.yaml").touch()
    added_to = {"odc_digits": [], "odc_small": [recipe], "odc_adapt": ["experiment=odc_adapt"]}
    for experiment, expected in added_to.items():
        choices = {"experiment": experiment, "model": "convnet"}
        records = {"hydra": {"runtime": {"choices": choices}}}
        OmegaConf.save(OmegaConf.create(records), tmp_path / ".hydra" / "hydra.yaml")
        assert translated("train", words)[2:] == expected
        last = f"ckpt_path='{tmp_path}/checkpoints/last.ckpt'"
        assert translated("train", [last])[1:] == expected
    assert recipe in translated("train", words[:1])
