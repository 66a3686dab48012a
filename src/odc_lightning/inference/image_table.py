"""Shared parts of `extract` and `assign`: images in a run's view, and a table that can resume."""

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
from odc_lightning.data.loader import choose_num_workers
from odc_lightning.features.digests import describe, digest_images, digest_weights
from odc_lightning.features.image_features import image_features
from odc_lightning.inference import TrainedModel, load
from odc_lightning.inference.table_parts import Parts, Writer, collect
from odc_lightning.runs.images import as_read_by
from odc_lightning.utils.home import expanded

log = logging.getLogger(__name__)

# The largest number of feature values in a part: 256 MiB, whatever the features' width.
MAX_VALUES = 2**26


def load_from(config: DictConfig) -> TrainedModel:
    """The trained model of a command's ``run``."""
    return load(
        config.run,
        device=config.device,
        images=config.images,
        checkpoint_trusted=config.checkpoint_trusted,
    )


def images_of(config: DictConfig, model: TrainedModel) -> ImageSource:
    """The images of ``config.data``, without unreadable ones if ``data.on_error=skip``.

    Raises:
        ValueError: there are no images, or some cannot be read.
    """
    data = as_read_by(config.data, model.run)
    data.val = None
    data.eval_transform = model.run.config.data.eval_transform
    data.image_size = model.image_size
    module: ImageDataModule = instantiate(data)
    module.setup("predict")
    return module.train_dataset.source.in_copies(model.size_of_copy)


def check_numbers(config: DictConfig, *keys: str) -> None:
    """Refuse values that are not integers of 1 or more, and a wrong ``num_workers``.

    Raises:
        ValueError: for the first wrong value.
    """
    for key in keys:
        if not IntegerRule(1).accepts(config[key]):
            raise ValueError(f"{key}={config[key]}; expected {IntegerRule(1)}")
    workers = config.num_workers
    if workers is not None and not IntegerRule(0).accepts(workers):
        raise ValueError(f"num_workers={workers}; expected {IntegerRule(0)}, or null")


def facts_of(model: TrainedModel, source: ImageSource, **others: Any) -> dict[str, Any]:
    """The facts that a table of images depends on, with ``others`` added."""
    return {
        "images": digest_images(source),
        "network": digest_weights(model),
        "transform": describe(model.transform),
        "odc_lightning": odc_lightning.__version__,
        **others,
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
    """Make the missing parts, then the final files from all parts.

    Args:
        parts: parts of the table of ``source``.
        embed: from transformed images (B, 3, H, W) to features (B, width).
        source: the images.
        model: for its transform and its device.
        config: of the command, for ``batch_size`` and ``num_workers``.
        table: from names and features (B, width) of images to their rows.
        writers: see `Parts.finish`.

    Raises:
        ValueError: the folder cannot be written.
        SystemExit: the command is interrupted with Ctrl-C.
    """
    if parts.finished:
        log.info("already complete: %s", parts.folder)
        return
    missing, workers = parts.missing, config.num_workers
    if parts.done:
        log.info("resuming after %s of %s images", f"{missing.start:,}", f"{len(source):,}")
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
            f"cannot write to {parts.folder} ({error.strerror or error}). Finished parts are kept: "
            "free some disk space and run the same command again to resume"
        ) from error
    except KeyboardInterrupt:
        sys.exit("interrupted; finished parts are kept. Run the same command again to resume")


def rows_of_part(config: DictConfig, width: int) -> int:
    """The number of rows in a part, a multiple of the batch size.

    About ``part_size``, but fewer if the features are wide. No batch spans two parts.
    """
    largest = min(config.part_size, max(1, MAX_VALUES // width))
    return max(1, largest // config.batch_size) * config.batch_size


def folder_of(config: DictConfig, model: TrainedModel, *names: str) -> Path:
    """The output folder: ``out``, or a folder inside the run's folder."""
    return model.run.folder.joinpath(*names) if config.out is None else expanded(config.out)
