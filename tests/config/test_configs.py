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
    CentroidRefresh,
    KMeansBootstrap,
    LossReweighting,
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
ODC = tuple(name for name in ORDER if name not in FOR_SMALL_DATA)
CALLBACKS = {
    "odc": ODC,
    "odc_openselfsup": ODC,
    "odc_small": tuple(name for name in ORDER if name != "LossReweighting"),
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


@pytest.mark.parametrize("experiment", [f"{name}_resnet50" for name in PRETEXTS])
def test_the_published_schedule_of_pretexts(compose_config: Compose, experiment: str) -> None:
    """VISSL's, for ResNet-50 on ImageNet."""
    config = compose_config(f"experiment={experiment}", "data.root=/nowhere")
    assert (config.data.batch_size, config.optimizer.lr) == (256, 0.1)
    assert (config.optimizer.momentum, config.optimizer.weight_decay) == (0.9, 1e-4)
    assert (config.scheduler.milestones, config.scheduler.gamma) == ([30, 60, 90, 100], 0.1)
    assert config.trainer.max_epochs == 105


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
        assert isinstance(build_module(config), nn.Module)


def test_the_papers_alexnet_run(compose_config: Compose) -> None:
    """Sec. 3.4, word for word."""
    config = compose_config("experiment=odc_alexnet", "data.root=/nowhere")
    assert config.data.batch_size == 512
    assert config.optimizer.lr == 0.04
    assert (config.scheduler.milestones, config.scheduler.gamma) == ([400], 0.1)
    assert config.trainer.max_epochs == 440
    assert config.algorithm.num_clusters == 10_000
    memory, _, _, refresh, small = algorithms_callbacks(config)[:5]
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
    memory, bootstrap, weights, refresh, small = algorithms_callbacks(config)[:5]
    assert isinstance(memory, SamplesMemory)
    assert memory.settings == {"momentum": 0.5, "renormalize": True, "assignment": "dot"}
    assert isinstance(bootstrap, KMeansBootstrap)
    assert bootstrap.iterations == 20
    assert isinstance(weights, LossReweighting)
    assert isinstance(refresh, CentroidRefresh)
    assert (refresh.every_n_steps, refresh.clusters) == (10, "all")
    assert isinstance(small, SmallClusters)
    assert (small.threshold, small.repeat, small.moved_half) == (19, False, "first")


def test_the_papers_deepcluster_run(compose_config: Compose) -> None:
    """Sec. 4.1: as ODC, with a Sobel filter and a learning rate of 0.1."""
    config = compose_config("experiment=dc_resnet50", "data.root=/nowhere")
    assert (config.optimizer.lr, config.optimizer.weight_decay) == (0.1, 1e-5)
    assert (config.algorithm.num_clusters, config.data.batch_size) == (10_000, 512)
    assert config.model.backbone.sobel is True
    odc = compose_config("experiment=odc_resnet50", "data.root=/nowhere")
    assert config.data.train_transform == odc.data.train_transform
    clustering = algorithms_callbacks(config)[0]
    assert isinstance(clustering, OfflineClustering)
    assert (clustering.pca_dim, clustering.iterations, clustering.reweight) == (256, 20, False)
    weighed = compose_config(
        "experiment=dc_resnet50", "data.root=/nowhere", "algorithm.reweight=true"
    )
    reweighting = algorithms_callbacks(weighed)[0]
    assert isinstance(reweighting, OfflineClustering)
    assert reweighting.reweight is True


def test_deepclusters_own_alexnet(compose_config: Compose) -> None:
    """As the public code: fc7 ahead of its ReLU is clustered, colours stay as they are."""
    config = compose_config("experiment=dc_alexnet", "data.root=/nowhere")
    assert (config.optimizer.lr, config.data.batch_size) == (0.05, 256)
    backbone = instantiate(config.model.backbone)
    layers = dict(backbone.named_modules())
    clustered = layers[config.algorithm.offline_clustering.layer]
    assert isinstance(clustered, nn.Linear)
    assert clustered is list(backbone.classifier)[-2]
    assert isinstance(list(backbone.classifier)[-1], nn.ReLU)


def test_deepcluster_v2_as_published(compose_config: Compose) -> None:
    """`deepclusterv2_400ep_2x224_pretrain.sh` in SwAV's repository."""
    config = compose_config("experiment=dcv2_resnet50", "data.root=/nowhere")
    assert config.algorithm.num_clusters == 3000
    assert config.algorithm.prototype_clustering.iterations == 10
    assert (config.model.head.num_heads, config.model.head.temperature) == (3, 0.1)
    assert (config.model.neck.hidden_features, config.model.neck.out_features) == (2048, 128)
    assert (config.data.batch_size, config.data.image_size) == (4096, 224)
    assert (config.trainer.max_epochs, config.optimizer.weight_decay) == (400, 1e-6)
    assert config.scheduler.T_max == 400
    assert config.scheduler.eta_min == pytest.approx(config.optimizer.lr / 1000)
    transforms = [t._target_.rpartition(".")[2] for t in config.data.train_transform.transforms]
    expected = ["RandomResizedCrop", "RandomHorizontalFlip", "RandomApply", "RandomGrayscale"]
    assert transforms[:5] == [*expected, "RandomApply"]


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
    config = compose_evaluation(
        "checkpoint=x", f"benchmark={benchmark}", "data.root=/nowhere", "model=resnet50"
    )
    for protocol in build_all(config.protocol):
        assert published_scores("resnet50", f"{config.data.name}_{protocol.name}")


def test_the_papers_linear_classification(compose_evaluation: Compose) -> None:
    """Sec. 4.1, word for word."""
    for benchmark in ("imagenet_linear", "places205_linear"):
        config = compose_evaluation("checkpoint=x", f"benchmark={benchmark}", "data.root=/nowhere")
        linear = config.protocol.linear
        assert (linear.max_epochs, linear.batch_size) == (100, 256)
        assert (linear.optimizer.lr, linear.optimizer.momentum) == (0.01, 0.9)
        assert (linear.optimizer.nesterov, linear.optimizer.weight_decay) == (True, 1e-4)
        assert (linear.scheduler.milestones, linear.scheduler.gamma) == ([30, 60, 90], 0.1)
        transforms = [t._target_.rpartition(".")[2] for t in linear.augmentation.transforms]
        assert transforms[:2] == ["RandomResizedCrop", "RandomHorizontalFlip"]


def test_the_zoos_fine_tuning(compose_evaluation: Compose) -> None:
    config = compose_evaluation(
        "checkpoint=x", "benchmark=imagenet_semi_supervised", "data.root=/nowhere"
    )
    semi = config.protocol.semi_supervised
    assert (semi.shares, semi.head_lr_multipliers) == ([0.01, 0.1], [100, 10])
    assert (semi.max_epochs, semi.batch_size, semi.optimizer.lr) == (20, 256, 0.1)
    assert (semi.scheduler.milestones, semi.scheduler.gamma) == ([12, 16], 0.2)
