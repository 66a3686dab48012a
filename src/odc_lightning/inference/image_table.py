"""What `extract` and `assign` share: images in a run's view, and rows that go on after a stop."""

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

import odc_lightning
from odc_lightning.config.validation import IntegerRule
from odc_lightning.data import ImageDataModule, ImageSource, IndexedDataset
from odc_lightning.data.datamodule import choose_num_workers
from odc_lightning.features.digests import describe, digest_images, digest_weights
from odc_lightning.features.image_features import image_features
from odc_lightning.inference import TrainedModel, load
from odc_lightning.inference.table_parts import Parts, Writer, collect

log = logging.getLogger(__name__)

# Numbers that a part may hold: 256 MiB of features, however wide they are.
MAX_NUMBERS = 2**26


def load_from(config: DictConfig) -> TrainedModel:
    """The network that a command's ``run`` means."""
    return load(
        config.run,
        device=config.device,
        images=config.images,
        checkpoint_trusted=config.checkpoint_trusted,
    )


def images_of(config: DictConfig, model: TrainedModel) -> ImageSource:
    """The images of ``config.data``, without those that cannot be read if that is asked for.

    Raises:
        ValueError: there are none, or some cannot be read.
    """
    data = config.data.copy()
    data.val = None
    data.eval_transform = model.run.config.data.eval_transform
    data.image_size = model.image_size
    module: ImageDataModule = instantiate(data)
    module.setup("predict")
    return module.train_dataset.source


def check_numbers(config: DictConfig, *keys: str) -> None:
    """Refuse what is no whole number of 1 or more.

    Raises:
        ValueError: for the first that is none.
    """
    for key in keys:
        if not IntegerRule(1).accepts(config[key]):
            raise ValueError(f"{key}={config[key]}; expected {IntegerRule(1)}")


def facts_of(model: TrainedModel, source: ImageSource, **more: Any) -> dict[str, Any]:
    """What a table of a network's images depends on."""
    return {
        "images": digest_images(source),
        "network": digest_weights(model),
        "transform": describe(model.transform),
        "odc_lightning": odc_lightning.__version__,
        **more,
    }


def fill(
    parts: Parts,
    embed: Callable[[Tensor], Tensor],
    source: ImageSource,
    model: TrainedModel,
    config: DictConfig,
    table: Callable[[list[str], Tensor], pa.Table],
    writers: Mapping[str, Writer],
) -> None:
    """Make the parts that are missing, and the final files from all of them.

    Args:
        parts: of the images of ``source``.
        embed: transformed images to features.
        source: of the images.
        model: for its view of an image, and its device.
        config: of the command, for ``batch_size`` and ``num_workers``.
        table: names and features (B, width) of images to their rows.
        writers: see `Parts.finish`.
    """
    if parts.finished:
        log.info("all is there already: %s", parts.folder)
        return
    missing, workers = parts.missing, config.num_workers
    if parts.done:
        log.info("going on after %s of %s images", f"{missing.start:,}", f"{len(source):,}")
    try:
        batches = image_features(
            embed,
            IndexedDataset(source, model.transform),
            missing,
            device=model.device,
            batch_size=config.batch_size,
            num_workers=choose_num_workers(source) if workers is None else workers,
        )
        for number, group in enumerate(collect(batches, parts.size), start=parts.done):
            first = number * parts.size
            features = torch.cat(group)
            names = [source.name(first + row) for row in range(len(features))]
            parts.write(number, table(names, features))
            log.info("%s of %s images", f"{first + len(features):,}", f"{len(source):,}")
        parts.finish(writers)
    except OSError as error:
        raise ValueError(
            f"{parts.folder} cannot be written ({error.strerror or error}). What is done is kept: "
            "with more room the same command goes on"
        ) from error
    except KeyboardInterrupt:
        sys.exit("stopped; what is done is kept, and the same command goes on")


def rows_of_part(config: DictConfig, width: int) -> int:
    """Whole batches, so that a batch ends where its part does: about ``part_size`` images, or fewer
    where their features are wide."""
    fitting = min(config.part_size, max(1, MAX_NUMBERS // width))
    return max(1, fitting // config.batch_size) * config.batch_size


def folder_of(config: DictConfig, model: TrainedModel, *names: str) -> Path:
    """Where the result goes: ``out``, or a place in the run's folder."""
    return (
        model.run.folder.joinpath(*names) if config.out is None else Path(config.out).expanduser()
    )
