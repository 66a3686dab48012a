"""Automatic settings: values for what is null in a config, from its images and the machine."""

from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.heuristics import (
    HYPERPARAMETERS,
    MAX_IMAGE_SIZE,
    MIN_IMAGE_SIZE,
    choose_hyperparameters,
    suited_network,
    suited_view_size,
)
from odc_lightning.data import ImageSource
from odc_lightning.data.decoding.images import MAX_PIXELS, Reading, reading_of
from odc_lightning.data.held_back import num_held_back
from odc_lightning.data.scan import readable, scan_source
from odc_lightning.data.subset import chosen_part
from odc_lightning.data.value_range import measure_range
from odc_lightning.utils.text import quantity

BACKBONE = "model.backbone"
IMAGE_SIZE = "data.image_size"
VIEW_SIZE = "data.view_size"
VALUE_RANGE = "data.value_range"
AUTOMATIC = (
    *HYPERPARAMETERS,
    BACKBONE,
    IMAGE_SIZE,
    VIEW_SIZE,
    VALUE_RANGE,
)  # chosen where they are null
MAX_MEASURED = 64


def with_automatic_settings(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """Fill network, sizes of images and views, range of values and hyperparameters if null.

    The training images are listed at most once, and only if one of these settings is null.

    Returns:
        The config, and one line about each value that was chosen.
    """
    images = _TrainingImages(config)
    config, network = _with_network(config, images)
    config, view_size = _with_view_size(config)
    config, value_range = _with_value_range(config, images)
    config, hyperparameters = _with_hyperparameters(config, images)
    return config, network + view_size + value_range + hyperparameters


class _TrainingImages:
    """The images that a config trains on, listed on first use.

    With ``data.on_error=skip`` they are scanned, so that choices do not follow damaged files.
    """

    def __init__(self, config: DictConfig) -> None:
        self._config = config.data

    @cached_property
    def source(self) -> ImageSource:
        data = self._config
        source = chosen_part(instantiate(data.train)(), data.subset)
        if data.get("on_error") != "skip":  # else the training refuses damaged files
            return source
        # The range of values is chosen later; here it only has to be known.
        reading = Reading(value_range=(0, 1), max_pixels=reading_of(data).max_pixels)
        return readable(source, scan_source(source, data.get("scan", "quick"), reading))

    @property
    def number(self) -> int:
        """N, the number of these images."""
        return len(self.source)


def _with_network(config: DictConfig, images: _TrainingImages) -> tuple[DictConfig, list[str]]:
    """Fill ``model.backbone`` and ``data.image_size`` where they are null."""
    open_keys = [key for key in (IMAGE_SIZE, BACKBONE) if is_null(config, key)]
    if not open_keys:
        return config, []
    config = config.copy()
    side = usual_side(images.source, reading_of(config.data).max_pixels)
    has_gpu = trains_on_gpu(str(config.trainer.accelerator))
    device = "with a GPU" if has_gpu else "without a GPU"
    chosen = suited_network(config.data.image_size or side, has_gpu)
    lines = []
    if IMAGE_SIZE in open_keys:
        config.data.image_size = chosen.image_size
        lines.append(
            f"{IMAGE_SIZE}={chosen.image_size}: images have sides of about {side:g} pixels; the "
            f"maximum {device} is {MAX_IMAGE_SIZE['gpu' if has_gpu else 'cpu']}"
        )
    if BACKBONE in open_keys:
        backbone = backbone_of_option(chosen.model)
        OmegaConf.update(config, BACKBONE, backbone)
        stem = ""
        if "small_images" in backbone:
            config.model.backbone.small_images = chosen.small_images
            stem = ", with a stem for small images" if chosen.small_images else ""
        lines.append(f"model={chosen.model}{stem}: the default {device}")
    return config, lines


def _with_view_size(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """Fill ``data.view_size`` if it is null."""
    if not is_null(config, VIEW_SIZE):
        return config, []
    config = config.copy()
    size = config.data.image_size
    config.data.view_size = suited_view_size(size) if _takes_any_size(config) else size
    if config.data.view_size == size:
        return config, []
    return config, [
        f"{VIEW_SIZE}={config.data.view_size}: crops of this size show things as large as whole "
        f"images of {size} pixels"
    ]


def _takes_any_size(config: DictConfig) -> bool:
    """Whether the network takes images of any size."""
    backbone = config.model.backbone
    name = str(backbone.get("_target_")).rpartition(".")[2]
    if name != "TimmBackbone":
        return name in ("ResNet", "ConvNet")
    import timm

    cfg = timm.get_pretrained_cfg(str(backbone.name))
    return cfg is not None and not cfg.fixed_input_size


def _with_value_range(config: DictConfig, images: _TrainingImages) -> tuple[DictConfig, list[str]]:
    """Fill ``data.value_range`` if it is null and images of more than 8 bits are among the data."""
    if not is_null(config, VALUE_RANGE):
        return config, []
    measured = measure_range(images.source, reading_of(config.data).max_pixels)
    if measured is None:
        return config, []
    config = config.copy()
    config.data.value_range = [int(end) if end.is_integer() else end for end in measured.ends]
    return config, [
        f"{VALUE_RANGE}={config.data.value_range}: images of more than 8 bits have values from "
        f"{measured.low:.7g} to {measured.high:.7g} ({measured.num_measured} measured); values "
        "beyond the range become black or white"
    ]


def _with_hyperparameters(
    config: DictConfig, images: _TrainingImages
) -> tuple[DictConfig, list[str]]:
    """Fill the keys of `HYPERPARAMETERS` that are null."""
    given = {key: OmegaConf.select(config, key) for key in HYPERPARAMETERS}
    if None not in given.values():
        return config, []
    config = config.copy()
    held_back = num_held_back(images.number, config.data.get("held_back", 0.0))
    pretrained = config.model.get("pretrained") is not None
    choices = choose_hyperparameters(images.number, given, held_back, pretrained)
    for choice in choices:
        OmegaConf.update(config, choice.key, choice.value)
    return config, [
        f"{choice.key}={choice.value:g} for {quantity(images.number, 'image')}: {choice.reason}"
        for choice in choices
    ]


def backbone_of_option(model: str) -> DictConfig:
    """The backbone's config of an option of the group ``model``."""
    backbone: DictConfig = OmegaConf.load(Path(CONFIG_DIR, "model", f"{model}.yaml")).backbone
    return backbone


def usual_side(source: ImageSource, max_pixels: int = MAX_PIXELS) -> float:
    """The median length of the shorter side, in pixels, over evenly spread images.

    Unreadable images are skipped here; the data module reports them.
    """
    count = min(MAX_MEASURED, len(source))
    source.read_as(source.reading._replace(max_pixels=max_pixels))
    sides = []
    for index in np.linspace(0, len(source) - 1, count).astype(int).tolist():
        try:
            sides.append(min(source.size(index)))
        except Exception:  # Pillow's decoders raise anything from OSError to struct.error
            continue
    return median(sides) if sides else MIN_IMAGE_SIZE


def trains_on_gpu(accelerator: str) -> bool:
    """Whether Lightning's ``accelerator`` means a GPU on this machine."""
    if accelerator not in ("auto", "gpu", "cuda", "mps"):
        return False
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def is_null(config: DictConfig, key: str) -> bool:
    """Whether the key exists and is null; a missing value (``???``) is not null."""
    group, _, name = key.partition(".")
    node = config[group]
    return name in node and not OmegaConf.is_missing(node, name) and node[name] is None
