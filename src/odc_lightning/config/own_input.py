"""The images that a pretrained network was trained on: side, normalisation, interpolation.

A config states them under `data`; `with_input` carries them into every view.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from odc_lightning.data.transforms import RESAMPLING

MEAN, STD, INTERPOLATION = "data.mean", "data.std", "data.interpolation"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The parts of a config that hold views.
VIEWS = ("data.train_transform", "data.eval_transform", "protocol")
_RESIZING = ("torchvision.transforms.v2.Resize", "torchvision.transforms.v2.RandomResizedCrop")
_OWN_RESIZING = "odc_lightning.data.resize_and_center_crop"
_NORMALIZE = "torchvision.transforms.v2.Normalize"


class OwnInput(NamedTuple):
    """The input of a network.

    Attributes:
        image_size: side in pixels; None if it is not known.
        mean, std: of red, green and blue, for pixels from 0 to 1; None if they are not known.
        interpolation: Pillow's name of the filter for resizing, such as ``bicubic``; None if it is
            not known.
    """

    image_size: int | None
    mean: Sequence[float] | None = IMAGENET_MEAN
    std: Sequence[float] | None = IMAGENET_STD
    interpolation: str | None = "bilinear"


def input_of_view(view: Any, image_size: int | None) -> OwnInput:
    """The input that a view's config describes.

    Args:
        view: plain config of a transform.
        image_size: side of its images, in pixels.
    """
    found = OwnInput(image_size, None, None)
    names = {number: name for name, number in RESAMPLING.items()}
    for node in _nodes(view):
        if node["_target_"] == _NORMALIZE:
            found = found._replace(mean=node.get("mean"), std=node.get("std"))
        elif node["_target_"] in (*_RESIZING, _OWN_RESIZING) and "interpolation" in node:
            given = node["interpolation"]
            found = found._replace(interpolation=names.get(given, str(given)))
    return found


def with_input(config: DictConfig) -> DictConfig:
    """The config, with `data.mean`, `data.std` and `data.interpolation` in each of its views.

    What is null there stays as each view has it.

    Raises:
        ValueError: one of the three keys has a wrong value.
    """
    given = {key: OmegaConf.select(config, key) for key in (MEAN, STD, INTERPOLATION)}
    if not any(value is not None for value in given.values()):
        return config
    check_input(config)
    config = config.copy()
    for key in VIEWS:
        part = OmegaConf.select(config, key)
        if OmegaConf.is_config(part):
            plain = OmegaConf.to_container(part, resolve=False)
            for node in _nodes(plain):
                _set(node, given)
            OmegaConf.update(config, key, plain, merge=False)
    return config


def with_input_of_run(config: DictConfig, data: DictConfig | None) -> DictConfig:
    """The config of an evaluation, whose views have the input of the network's run.

    Args:
        config: resolved; its own `data.mean`, `data.std` and `data.interpolation` stay if given.
        data: of the run's config; None without a run.

    Raises:
        ValueError: see `with_input`.
    """
    config = config.copy()
    for key in (MEAN, STD, INTERPOLATION):
        name = key.rpartition(".")[2]
        value = None if data is None else data.get(name)
        if value is not None and name in config.data and config.data[name] is None:
            config.data[name] = value
    return with_input(config)


def check_input(config: DictConfig) -> None:
    """Refuse wrong values of `data.mean`, `data.std` and `data.interpolation`; null is allowed.

    Raises:
        ValueError: for the first wrong value.
    """
    for key, least in ((MEAN, -math.inf), (STD, 0.0)):
        values = OmegaConf.select(config, key)
        numbers = OmegaConf.to_container(values) if OmegaConf.is_config(values) else values
        if numbers is not None and not _are_three(numbers, least):
            above = "" if math.isinf(least) else " above 0"
            raise ValueError(
                f"{key}={numbers}; expected three numbers{above}, for red, green and blue between "
                "0 and 1, or null"
            )
    name = OmegaConf.select(config, INTERPOLATION)
    if name is not None and name not in RESAMPLING:
        raise ValueError(f"{INTERPOLATION}={name}; expected {', '.join(RESAMPLING)}, or null")


def _are_three(values: Any, least: float) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == 3
        and all(isinstance(value, int | float) for value in values)
        and all(math.isfinite(value) and value > least for value in values)
    )


def _set(node: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Write the given values into the config of one transform."""
    target = node["_target_"]
    if target == _NORMALIZE:
        for name, key in (("mean", MEAN), ("std", STD)):
            if given[key] is not None:
                node[name] = [float(value) for value in given[key]]
    elif given[INTERPOLATION] is not None and target in _RESIZING:
        node["interpolation"] = RESAMPLING[given[INTERPOLATION]]  # the classes take numbers
    elif given[INTERPOLATION] is not None and target == _OWN_RESIZING:
        node["interpolation"] = given[INTERPOLATION]


def _nodes(value: Any) -> list[dict[str, Any]]:
    """All mappings with a ``_target_``, in order, however deep."""
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return []
    own = [value] if isinstance(value, dict) and isinstance(value.get("_target_"), str) else []
    return own + [node for child in children for node in _nodes(child)]
