"""Automatic settings: values for what is null in a config, from its images and the machine."""

from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.heuristics import (
    HYPERPARAMETERS,
    MAX_IMAGE_SIZE,
    MIN_IMAGE_SIZE,
    choose_hyperparameters,
    suited_network,
)
from odc_lightning.data import ImageSource
from odc_lightning.data.subset import subset_of
from odc_lightning.utils.text import quantity

BACKBONE = "model.backbone"
IMAGE_SIZE = "data.image_size"
MAX_MEASURED = 64


def with_automatic_settings(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """Fill the network, the image size and the hyperparameters where they are null.

    The training images are listed at most once, and only if one of these settings is null.

    Returns:
        The config, and one line about each value that was chosen.
    """
    images = _TrainingImages(config)
    config, network = _with_network(config, images)
    config, hyperparameters = _with_hyperparameters(config, images)
    return config, network + hyperparameters


class _TrainingImages:
    """The training images of a config, listed on first use."""

    def __init__(self, config: DictConfig) -> None:
        self._config = config.data

    @cached_property
    def source(self) -> ImageSource:
        source: ImageSource = instantiate(self._config.train)()
        return source

    @cached_property
    def number(self) -> int:
        """N, the number of images to train on, after ``data.subset``."""
        subset = self._config.subset
        return len(self.source if subset is None else subset_of(self.source, **subset))


def _with_network(config: DictConfig, images: _TrainingImages) -> tuple[DictConfig, list[str]]:
    """Fill ``model.backbone`` and ``data.image_size`` where they are null."""
    open_keys = [key for key in (IMAGE_SIZE, BACKBONE) if _is_null(config, key)]
    if not open_keys:
        return config, []
    config = config.copy()
    side = usual_side(images.source)
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
        option = OmegaConf.load(Path(CONFIG_DIR, "model", f"{chosen.model}.yaml"))
        OmegaConf.update(config, BACKBONE, option.backbone)
        stem = ""
        if "small_images" in option.backbone:
            config.model.backbone.small_images = chosen.small_images
            stem = ", with a stem for small images" if chosen.small_images else ""
        lines.append(f"model={chosen.model}{stem}: the default {device}")
    return config, lines


def _with_hyperparameters(
    config: DictConfig, images: _TrainingImages
) -> tuple[DictConfig, list[str]]:
    """Fill the keys of `HYPERPARAMETERS` that are null."""
    given = {key: OmegaConf.select(config, key) for key in HYPERPARAMETERS}
    if None not in given.values():
        return config, []
    config = config.copy()
    choices = choose_hyperparameters(images.number, given)
    for choice in choices:
        OmegaConf.update(config, choice.key, choice.value)
    return config, [
        f"{choice.key}={choice.value:g} for {quantity(images.number, 'image')}: {choice.reason}"
        for choice in choices
    ]


def usual_side(source: ImageSource) -> float:
    """The median length of the shorter side, in pixels, over evenly spread images.

    Unreadable images are skipped here; the data module reports them.
    """
    count = min(MAX_MEASURED, len(source))
    sides = []
    for index in np.linspace(0, len(source) - 1, count).astype(int).tolist():
        path = source.path(index)
        try:
            if path is None:
                sides.append(min(source.load(index).size))
            else:
                with Image.open(path) as image:  # reads the header alone
                    sides.append(min(image.size))
        except Exception:  # Pillow's decoders raise anything from OSError to struct.error
            continue
    return median(sides) if sides else MIN_IMAGE_SIZE


def trains_on_gpu(accelerator: str) -> bool:
    """Whether Lightning's ``accelerator`` means a GPU on this machine."""
    if accelerator not in ("auto", "gpu", "cuda", "mps"):
        return False
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _is_null(config: DictConfig, key: str) -> bool:
    """Whether the key exists and is null; a missing value (``???``) is not null."""
    group, _, name = key.partition(".")
    node = config[group]
    return name in node and not OmegaConf.is_missing(node, name) and node[name] is None
