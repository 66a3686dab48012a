"""The network and the size of its images, for those who do not want to choose them."""

from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from odc_lightning.config import CONFIG_DIR
from odc_lightning.data import ImageSource

BACKBONE = "model.backbone"
IMAGE_SIZE = "data.image_size"
# Sides in pixels that a machine trains on in reasonable time; larger images are made smaller.
LARGEST = {"gpu": 128, "cpu": 64}
SMALLEST = 16  # room for four halvings
# Up to this side a ResNet's usual stem would leave too little of an image.
SMALL_IMAGES = 64
MOST_MEASURED = 64


class Fit(NamedTuple):
    """What suits a machine and its images.

    Attributes:
        model: option of the group ``model``.
        small_images: whether its stem is for small images, where it has such a stem.
        image_size: side in pixels.
    """

    model: str
    small_images: bool
    image_size: int


def fit(side: float, has_gpu: bool) -> Fit:
    """What suits images of a side, on a machine.

    Args:
        side: of an image's shorter side, in pixels, as it usually is.
        has_gpu: whether the training runs on one.
    """
    largest = LARGEST["gpu" if has_gpu else "cpu"]
    size = min(largest, max(SMALLEST, int(side) // 8 * 8))
    return Fit("resnet18" if has_gpu else "convnet", size <= SMALL_IMAGES, size)


def fitted_to_machine(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """Fill ``model.backbone`` and ``data.image_size`` where they are null.

    Returns:
        The config, and a line about each value that was chosen.
    """
    open_keys = [key for key in (IMAGE_SIZE, BACKBONE) if _is_null(config, key)]
    if not open_keys:
        return config, []
    config = config.copy()
    source: ImageSource = instantiate(config.data.train)()
    side = usual_side(source)
    has_gpu = trains_on_gpu(str(config.trainer.accelerator))
    device = "there is a GPU" if has_gpu else "there is no GPU"
    chosen = fit(config.data.image_size or side, has_gpu)
    lines = []
    if IMAGE_SIZE in open_keys:
        config.data.image_size = chosen.image_size
        lines.append(
            f"{IMAGE_SIZE}={chosen.image_size}: images have sides of about {side:g} pixels, and "
            f"{device}, so {LARGEST['gpu' if has_gpu else 'cpu']} at most"
        )
    if BACKBONE in open_keys:
        option = OmegaConf.load(Path(CONFIG_DIR, "model", f"{chosen.model}.yaml"))
        OmegaConf.update(config, BACKBONE, option.backbone)
        stem = ""
        if "small_images" in option.backbone:
            config.model.backbone.small_images = chosen.small_images
            stem = ", with a stem for small images" if chosen.small_images else ""
        lines.append(f"model={chosen.model}{stem}: {device}")
    return config, lines


def usual_side(source: ImageSource) -> float:
    """The median of the shorter sides, in pixels, of some images evenly spread.

    Images that cannot be read are passed over; the data module has more to say about them.
    """
    count = min(MOST_MEASURED, len(source))
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
    return median(sides) if sides else SMALLEST


def trains_on_gpu(accelerator: str) -> bool:
    """Whether Lightning's ``accelerator`` means a GPU on this machine."""
    if accelerator not in ("auto", "gpu", "cuda", "mps"):
        return False
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _is_null(config: DictConfig, key: str) -> bool:
    """Whether the key is there, and null; a value that is still to be given is not."""
    group, _, name = key.partition(".")
    node = config[group]
    return name in node and not OmegaConf.is_missing(node, name) and node[name] is None
