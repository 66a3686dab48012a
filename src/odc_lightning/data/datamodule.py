"""Brings the images to the trainer: sources, subset, scan, checks, loaders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.data import suggested_max_num_workers
from torch.utils.data import DataLoader

from odc_lightning.data.checks import check_batches, check_view
from odc_lightning.data.dataset import IndexedDataset, Sample, Transform
from odc_lightning.data.loader import ResumableLoader
from odc_lightning.data.sampler import EpochSampler
from odc_lightning.data.scan import Problem, ScanMode, scan_images
from odc_lightning.data.sources import ImageSource, SubsetSource
from odc_lightning.data.subset import subset_of

logger = logging.getLogger(__name__)

_MAX_WORKERS = 8
_MAX_SHOWN = 20


class ImageDataModule(pl.LightningDataModule):
    """Images for training and scoring, every one known by its index.

    After `setup`, `train_dataset` (N images under `train_transform`) and `val_dataset` (under
    `eval_transform`, or None) are there, and `num_samples` is N.

    Args:
        train, val: build the sources when called; `val` may be None.
        train_transform, eval_transform: from a PIL image to a float32 tensor (3, S, S).
        image_size: S; a transform that gives another size is refused.
        batch_size: over all ranks.
        num_workers: a process count, or None to choose it from the machine.
        subset: arguments of `subset_of` for the training images, or None for all of them.
            Validation keeps to the classes that were drawn.
        scan: how to look for damaged files, see `scan_images`.
        on_error: what to do about damaged files, `raise` or `skip`.
        drop_last: leave out the incomplete batch at the end of an epoch.
        sampling_with_replacement: as in the authors' code; the paper does not say.
        seed: for the order and the augmentation.
        root: the folder that the builders read, for messages.
    """

    train_dataset: IndexedDataset
    val_dataset: IndexedDataset | None

    def __init__(
        self,
        train: Callable[[], ImageSource],
        val: Callable[[], ImageSource] | None,
        train_transform: Transform,
        eval_transform: Transform,
        image_size: int,
        batch_size: int,
        num_workers: int | None = None,
        subset: Mapping[str, Any] | None = None,
        scan: ScanMode = "quick",
        on_error: Literal["raise", "skip"] = "raise",
        drop_last: bool = True,
        sampling_with_replacement: bool = False,
        seed: int = 0,
        root: str | None = None,
    ) -> None:
        super().__init__()
        if on_error not in ("raise", "skip"):
            raise ValueError(f"data.on_error={on_error!r}; expected raise or skip")
        if seed < 0:
            raise ValueError(f"data.seed={seed}; expected 0 or more")
