"""What a composed config builds: its augmentation, schedule, network, callbacks and protocols.

`lookup` reads one value of it. A path is a config key, or begins with one of `PARTS`.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import nn
from torchvision.transforms import v2

from odc_lightning.clustering import loss_weights
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.build import build_all, build_module
from odc_lightning.data.long_tail import long_tail_counts
from odc_lightning.module import ODCModule


def lookup(option: str, path: str) -> Any:
    """The value at a path of an option such as ``experiment=odc_resnet50``; sequences as tuples."""
    first, _, rest = path.partition(".")
    found = built(option, first) if first in PARTS else composed(option)
    for name in filter(None, (rest if first in PARTS else path).split(".")):
        found = found[name] if isinstance(found, Mapping | DictConfig) else getattr(found, name)
    return plain(found)


def plain(value: Any) -> Any:
    """The value with tuples in place of lists, names of steps, and floats without rounding."""
    if isinstance(value, list | tuple | ListConfig | dict):
        return tuple(map(plain, value))
    return float(f"{value:.12g}") if isinstance(value, float) else value


@functools.cache
def composed(option: str) -> DictConfig:
    """The whole config of an option, with Hydra's part for the values of a sweep."""
    command = "evaluate" if option.startswith(("benchmark", "protocol")) else "train"
    overrides = [option, "data.root=/nowhere"]
    if command == "evaluate":
        overrides += ["checkpoint=/nowhere"]
        overrides += ["data=digits"] if option.startswith("protocol") else []
    if option.startswith("experiment=finetune"):
        overrides += ["model.pretrained=null"]
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        config = compose(command, overrides, return_hydra_config=True)
    config.run_dir = "/nowhere"
    return config


@functools.cache
def built(option: str, part: str) -> Any:
    """A part of what an option builds."""
    return PARTS[part](composed(option))


def steps(transform: Any) -> dict[str, Any]:
    """The transforms by class, in their order; the second of a class is ``Name2``."""
    found: dict[str, Any] = {}
    for step in flat(transform):
        name = type(step).__name__
        number = 1 + sum(each.rstrip("23456789") == name for each in found)
        found[name if number == 1 else f"{name}{number}"] = step
    return found


def flat(transform: Any) -> Iterator[Any]:
    """The steps of a Compose; those of a RandomApply follow it."""
    for step in transform.transforms:
        if not isinstance(step, v2.Compose):
            yield step
        if hasattr(step, "transforms"):
            yield from flat(step)


def rates(config: DictConfig, epochs: int) -> tuple[tuple[int, float], ...]:
    """The learning rates of the epochs as the scheduler sets them, as (epochs, rate)."""
    optimizer = instantiate(config.optimizer)([nn.Parameter(torch.zeros(1))])
    scheduler = instantiate(config.scheduler)(optimizer)

    def each() -> Iterator[float]:
        for _ in range(epochs):
            yield round(optimizer.param_groups[0]["lr"], 12)
            optimizer.step()
            scheduler.step()

    return tuple((len([*equal]), rate) for rate, equal in groupby(each()))


def network(config: DictConfig) -> ODCModule:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return build_module(config)


def convolutions(config: DictConfig) -> dict[str, Any]:
    """Channels and kernel of the first convolution, and the kinds of normalisation."""
    layers = [*network(config).backbone.modules()]
    first = next(each for each in layers if isinstance(each, nn.Conv2d))
    return {
        "channels": first.in_channels,
        "kernel": first.kernel_size,
        "response_normalization": any(isinstance(each, nn.LocalResponseNorm) for each in layers),
        "batch_normalization": any(isinstance(each, nn.BatchNorm2d) for each in layers),
    }


def images(config: DictConfig) -> dict[str, Any]:
    """Number of images of ``data.subset``, and its classes from the largest to the smallest."""
    subset = dict(config.data.subset)
    classes = subset["num_classes"]
    total = subset.get("num_images") or classes * subset["images_per_class"]
    ratios = OmegaConf.create(f"[{config.hydra.sweeper.params.get('data.subset.imbalance', 1)}]")
    most = long_tail_counts(classes, max(ratios), total=total)
    return {"number": int(most.sum()), "classes": len(most), "largest": int(most[0])}


def swept(config: DictConfig) -> DictConfig:
    """The values of each key of a sweep, as a nested config."""
    keys = DictConfig({})
    for key, values in config.hydra.sweeper.params.items():
        OmegaConf.update(keys, key, OmegaConf.create(f"[{values}]"), force_add=True)
    return keys


PARTS: dict[str, Callable[[DictConfig], Any]] = {
    "views": lambda config: steps(instantiate(config.data.train_transform)),
    "eval_views": lambda config: steps(instantiate(config.data.eval_transform)),
    "rates": lambda config: rates(config, config.trainer.max_epochs),
    "callbacks": lambda config: {type(c).__name__: c for c in build_all(config.algorithm)},
    "network": network,
    "convolutions": convolutions,
    "weight_of_a_quarter": lambda config: float(
        loss_weights(torch.tensor([100])) / loss_weights(torch.tensor([400]))
    ),
    "protocols": lambda config: {each.name: each for each in build_all(config.protocol)},
    "probe_views": lambda config: steps(instantiate(config.protocol.linear.augmentation)),
    "tuning_views": lambda config: steps(instantiate(config.protocol.semi_supervised.augmentation)),
    "probe_rates": lambda config: rates(config.protocol.linear, config.protocol.linear.max_epochs),
    "images": images,
    "swept": swept,
}
