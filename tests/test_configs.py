"""Every config that is shipped composes, and builds what it says."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from conftest import Compose
from odc_lightning.callbacks import (
    CentroidRefresh,
    KMeansBootstrap,
    LossReweighting,
    SamplesMemory,
    SmallClusters,
)
from odc_lightning.config import (
    CONFIG_DIR,
    build_all,
    build_callbacks,
    build_module,
    build_trainer,
)

EXPERIMENTS = sorted(path.stem for path in Path(CONFIG_DIR, "experiment").glob("*.yaml"))
NEEDED = {
    "image_folder": "data.root=x",
    "imagenet": "data.root=x",
    "imagenet_labels": "data.root=x",
    "places205": "data.root=x",
    "voc2007": "data.root=x",
    "file_list": "data.train.path=x",
}


def options(group: str) -> list[str]:
    return sorted(p.stem for p in Path(CONFIG_DIR, group).glob("*.yaml") if p.stem != "base")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_builds(compose_config: Compose, experiment: str) -> None:
    config = compose_config(f"experiment={experiment}", "data.root=/nowhere")
    with torch.device("meta"):  # the shapes alone: AlexNet and 10,000 clusters take no memory
        module = build_module(config)
    assert module.num_clusters == config.algorithm.num_clusters
    optimizers = module.configure_optimizers()
    assert isinstance(optimizers, dict)
    body, head = optimizers["optimizer"].param_groups
    assert (body["momentum"], head["momentum"]) == (0.9, 0.0)
    assert body["lr"] == head["lr"] == config.optimizer.lr
    trainer = build_trainer(
        compose_config(
            f"experiment={experiment}",
            "data.root=/nowhere",
            "trainer.accelerator=cpu",
            "trainer.devices=1",
        )
    )
    kinds = [type(callback).__name__ for callback in trainer.callbacks]  # type: ignore[attr-defined]
    assert kinds[:5] == [
        "SamplesMemory",
        "KMeansBootstrap",
        "LossReweighting",
        "CentroidRefresh",
        "SmallClusters",
    ]


@pytest.mark.parametrize(
    ("group", "option"),
    [
        (group, option)
        for group in ("data", "model", "algorithm", "scheduler", "callbacks", "logger", "debug")
        for option in options(group)
    ],
)
def test_every_option_composes(compose_config: Compose, group: str, option: str) -> None:
    extra = [NEEDED[option]] if group == "data" and option in NEEDED else []
    extra += ["model.backbone.name=resnet18"] if option == "timm" else []
    config = compose_config(f"{group}={option}", *extra)
    built = [*build_all(config.logger), instantiate(config.scheduler), *build_callbacks(config)]
    assert all(part is not None for part in built)
    assert bool(build_all(config.callbacks)) == (option != "none")
    assert not OmegaConf.missing_keys(config)
    if group == "model":
        assert isinstance(build_module(config), nn.Module)


def test_the_papers_alexnet_run(compose_config: Compose) -> None:
    """Sec. 3.4, word for word."""
    config = compose_config("experiment=odc_alexnet", "data.root=/nowhere")
    assert config.data.batch_size == 512
    assert config.optimizer.lr == 0.04
    assert (config.scheduler.milestones, config.scheduler.gamma) == ([400], 0.1)
    assert config.trainer.max_epochs == 440
    assert config.algorithm.num_clusters == 10_000
    memory, _, _, refresh, small = build_callbacks(config)[:5]
    assert isinstance(memory, SamplesMemory)
    assert memory.settings == {"momentum": 0.5, "renormalize": False, "assignment": "l2"}
    assert isinstance(refresh, CentroidRefresh)
    assert (refresh.every_n_steps, refresh.clusters) == (10, "involved")
    assert isinstance(small, SmallClusters)
    assert (small.threshold, small.repeat, small.moved_half) == (20, True, "random")


def test_the_papers_resnet50_run(compose_config: Compose) -> None:
    config = compose_config("experiment=odc_resnet50", "data.root=/nowhere")
    assert (config.optimizer.lr, config.data.batch_size) == (0.06, 512)
    assert config.model.backbone.name == "resnet50"


def test_every_choice_of_the_authors_code(compose_config: Compose) -> None:
    config = compose_config("experiment=odc_resnet50_openselfsup", "data.root=/nowhere")
    assert config.optimizer.lr == 0.06
    assert (config.scheduler.milestones, config.scheduler.gamma) == ([400], 0.4)
    assert config.data.sampling_with_replacement is True
    assert config.trainer.sync_batchnorm is True
    memory, bootstrap, weights, refresh, small = build_callbacks(config)[:5]
    assert isinstance(memory, SamplesMemory)
    assert memory.settings == {"momentum": 0.5, "renormalize": True, "assignment": "dot"}
    assert isinstance(bootstrap, KMeansBootstrap)
    assert bootstrap.iterations == 20
    assert isinstance(weights, LossReweighting)
    assert isinstance(refresh, CentroidRefresh)
    assert (refresh.every_n_steps, refresh.clusters) == (10, "all")
    assert isinstance(small, SmallClusters)
    assert (small.threshold, small.repeat, small.moved_half) == (19, False, "first")


def test_a_callback_can_be_taken_away(compose_config: Compose) -> None:
    kinds = [type(c) for c in build_callbacks(compose_config("~algorithm.small_clusters"))]
    assert SmallClusters not in kinds
    assert SamplesMemory in kinds
