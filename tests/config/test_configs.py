"""Every config that is shipped composes, and builds what it says."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import nn

from conftest import Compose
from odc_lightning.callbacks import (
    OfflineClustering,
    Pretext,
    PseudoLabels,
    SamplesMemory,
    SmallClusters,
)
from odc_lightning.callbacks.order import GUARDS, ORDER
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.automatic import with_automatic_settings
from odc_lightning.config.build import (
    build_all,
    build_callbacks,
    build_module,
    build_trainer,
)
from odc_lightning.data.long_tail import long_tail_counts
from odc_lightning.evaluation import Protocol
from odc_lightning.models import PrototypeHead
from odc_lightning.reporting.tables import published_scores
from odc_lightning.search import check_trial, space_of

EXPERIMENTS = sorted(path.stem for path in Path(CONFIG_DIR, "experiment").glob("*.yaml"))
SWEEPS = sorted(p.stem for p in Path(CONFIG_DIR, "sweep").glob("*.yaml") if p.stem != "base")
# Pretext tasks: the callback that sets the task, by the first word of the experiment.
PRETEXTS = {
    "colorization": "Colorization",
    "jigsaw": "Jigsaw",
    "rotation": "Rotation",
}
NEEDED = {
    "image_folder": "data.root=x",
    "imagenet": "data.root=x",
    "imagenet_labels": "data.root=x",
    "places205": "data.root=x",
    "voc2007": "data.root=x",
    "file_list": "data.train.path=x",
}


# Which callbacks an algorithm is made of.
FOR_SMALL_DATA = {"CurrentTargets", "BalancedClusters"}  # off in the paper's presets
WITHOUT_LABELS = tuple(name for name in ORDER if name != "NamedClusters")
ODC = tuple(name for name in WITHOUT_LABELS if name not in FOR_SMALL_DATA)
CALLBACKS = {
    "odc": ODC,
    "odc_openselfsup": ODC,
    "odc_small": tuple(name for name in WITHOUT_LABELS if name != "LossReweighting"),
    "odc_adapt": tuple(
        name for name in WITHOUT_LABELS if name not in ("LossReweighting", "BalancedClusters")
    ),
    "deepcluster": ("OfflineClustering",),
    "deepcluster_v2": ("PrototypeClustering",),
    "supervised": ("TrueLabels",),
    **{algorithm: (callback,) for algorithm, callback in PRETEXTS.items()},
}
WITHOUT_CLUSTERS = (("TrueLabels",), *((callback,) for callback in PRETEXTS.values()))


def algorithms_callbacks(config: DictConfig) -> list[pl.Callback]:
    """All callbacks but those that guard the run, which come first."""
    return build_callbacks(config)[len(GUARDS) :]


def options(group: str) -> list[str]:
    return sorted(p.stem for p in Path(CONFIG_DIR, group).glob("*.yaml") if p.stem != "base")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_builds(tmp_path: Path, experiment: str) -> None:
    settings = [f"experiment={experiment}", "data.root=/nowhere", f"run_dir={tmp_path}"]
    if experiment.startswith("finetune"):
        settings.append("model.pretrained=null")
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        composed = compose("train", settings, return_hydra_config=True)
    algorithm = composed.hydra.runtime.choices.algorithm
    with open_dict(composed):
        del composed["hydra"]
    config, _ = with_automatic_settings(composed)
    with torch.device("meta"):  # the shapes alone: AlexNet and 10,000 clusters take no memory
        module = build_module(config)
    assert module.num_clusters == config.algorithm.num_clusters
    optimizers = module.configure_optimizers()
    assert isinstance(optimizers, dict)
    body, *heads = optimizers["optimizer"].param_groups
    expected = CALLBACKS[algorithm]
    clusters = expected not in WITHOUT_CLUSTERS
    momenta = [0.0 if clusters else 0.9]
    with_prototypes = isinstance(module.head, PrototypeHead)
    if with_prototypes:
        momenta = []  # they are not learned
    assert (body["momentum"], [head["momentum"] for head in heads]) == (0.9, momenta)
    assert {group["lr"] for group in (body, *heads)} == {config.optimizer.lr}
    config.trainer.update({"accelerator": "cpu", "devices": 1})
    trainer = build_trainer(config)
    kinds = [type(callback).__name__ for callback in trainer.callbacks]  # type: ignore[attr-defined]
    assert tuple(kinds[: 1 + len(expected)]) == (*GUARDS, *expected)
    owners = [c for c in trainer.callbacks if isinstance(c, PseudoLabels)]  # type: ignore[attr-defined]
    assert len(owners) == clusters
    assert config.data.num_views == (2 if with_prototypes else 1)


@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_sweep_composes_and_names_its_jobs(sweep: str) -> None:
    """All jobs can be, and each has a folder of its own."""
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        master = compose("train", [f"sweep={sweep}"], return_hydra_config=True)
        assert master.hydra.mode is RunMode.MULTIRUN
        params = master.hydra.sweeper.params
        groups = [key for key in params if "." not in key and key != "seed"]
        folders = set()
        for options_of_groups in itertools.product(*(values(params, key) for key in groups)):
            chosen = [
                f"{key}={value}" for key, value in zip(groups, options_of_groups, strict=True)
            ]
            overrides = [f"sweep={sweep}", "data.root=/nowhere", "run_dir=/nowhere", *chosen]
            config = compose("train", overrides, return_hydra_config=True)
            assert config.trainer.devices == 1
            assert config.train.resume == "auto"
            keys = [key for key in params if key not in groups]
            for job in itertools.product(*(values(params, key) for key in keys)):
                for key, value in zip(keys, job, strict=True):
                    assert has_key(config, key)
                    OmegaConf.update(config, key, value)
                fits(config)
                folders.add((config.hydra.sweep.dir, config.hydra.sweep.subdir))
    assert len(folders) == math.prod(len(values(params, key)) for key in params) > 1
    assert len({folder for folder, _ in folders}) == 1


def values(params: DictConfig, key: str) -> list[Any]:
    """What a sweep gives a key."""
    return list(OmegaConf.create(f"[{params[key]}]"))


def has_key(config: DictConfig, key: str) -> bool:
    return bool(OmegaConf.select(config, key, throw_on_missing=True) is not None)


@pytest.mark.parametrize("trials", options("trials"))
def test_every_search_composes(trials: str) -> None:
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        config = compose("search", [f"trials={trials}", "run_dir=/nowhere"])
        check_trial(config, space_of(config))
    assert instantiate(config.pruner) is not None
    assert config.name != "search"


def fits(config: DictConfig) -> None:
    """Whether the clusters of a study can all be larger than the threshold, and classes suffice."""
    subset = config.data.subset
    if subset is None:
        return
    classes, images = (300, 1300) if subset.get("num_classes") else (10, 6000)
    if subset.get("imbalance"):
        counts = long_tail_counts(classes, subset.imbalance, total=subset.num_images)
        assert counts[0] <= images
    total = subset.get("num_images") or classes * subset.images_per_class
    small = OmegaConf.select(config, "algorithm.small_clusters.threshold")
    if small is not None:
        assert config.algorithm.num_clusters * (small + 1) <= total


@pytest.mark.parametrize("algorithm", PRETEXTS)
def test_a_pretext_is_its_callback_and_a_head_with_momentum(
    compose_config: Compose, algorithm: str
) -> None:
    """Under any experiment, also where nothing else is chosen."""
    config = compose_config(f"algorithm={algorithm}")
    assert config.head_optimizer.momentum == 0.9
    (callback,) = build_all(config.algorithm)
    assert isinstance(callback, Pretext)
    assert type(callback).__name__ == PRETEXTS[algorithm]


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
    extra += ["algorithm.num_clusters=10"] if option == "supervised" else []
    config = compose_config(f"{group}={option}", *extra)
    built = [*build_all(config.logger), instantiate(config.scheduler), *build_callbacks(config)]
    assert all(part is not None for part in built)
    assert bool(build_all(config.callbacks)) == (option != "none")
    assert not OmegaConf.missing_keys(config)
    if group == "model":
        if option == "auto":  # the network is chosen with the other automatic settings
            config, _ = with_automatic_settings(config)
        assert isinstance(build_module(config), nn.Module)


def test_loss_weights_in_place_of_uniform_sampling(compose_config: Compose) -> None:
    """Sec. 3.2: the DC of the paper's comparison."""
    config = compose_config(
        "experiment=dc_resnet50", "data.root=/nowhere", "algorithm.reweight=true"
    )
    clustering = algorithms_callbacks(config)[0]
    assert isinstance(clustering, OfflineClustering)
    assert clustering.reweight is True


def test_deepclusters_own_alexnet(compose_config: Compose) -> None:
    """As the public code: fc7 ahead of its ReLU is clustered."""
    config = compose_config("experiment=dc_alexnet", "data.root=/nowhere")
    backbone = instantiate(config.model.backbone)
    layers = dict(backbone.named_modules())
    clustered = layers[config.algorithm.offline_clustering.layer]
    assert isinstance(clustered, nn.Linear)
    assert clustered is list(backbone.classifier)[-2]
    assert isinstance(list(backbone.classifier)[-1], nn.ReLU)


def test_a_callback_can_be_taken_away(compose_config: Compose) -> None:
    kinds = [type(c) for c in build_callbacks(compose_config("~algorithm.small_clusters"))]
    assert SmallClusters not in kinds
    assert SamplesMemory in kinds


@pytest.mark.parametrize("protocol", options("protocol"))
def test_every_protocol_builds(compose_evaluation: Compose, protocol: str) -> None:
    config = compose_evaluation(
        "checkpoint=untrained", "data=digits", "model=convnet", f"protocol={protocol}"
    )
    built = build_all(config.protocol)
    assert built
    assert all(isinstance(part, Protocol) for part in built)
    assert [part.name for part in built] == list(config.protocol)


@pytest.mark.parametrize("benchmark", options("benchmark"))
def test_every_benchmark_builds(compose_evaluation: Compose, benchmark: str) -> None:
    """Its data and protocols are those under which the paper's values are known."""
    config = compose_evaluation("checkpoint=x", f"benchmark={benchmark}", "data.root=/nowhere")
    network = "alexnet" if benchmark.endswith("alexnet") else "resnet50"
    for protocol in build_all(config.protocol):
        assert published_scores(network, f"{config.data.name}_{protocol.name}")
