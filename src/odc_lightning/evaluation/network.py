"""The evaluated network, together with the labelled images of one data set."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from odc_lightning.data import (
    ImageDataModule,
    ImageSource,
    IndexedDataset,
    SubsetSource,
    take_share,
)
from odc_lightning.data.loader import choose_num_workers
from odc_lightning.features.digests import facts_of
from odc_lightning.features.extraction_to_files import extract_to_files
from odc_lightning.features.feature_files import FeatureFiles, Features
from odc_lightning.features.placement import where_it_fits
from odc_lightning.metrics.low_shot_draws import one_versus_rest
from odc_lightning.models import POOLED, Backbone
from odc_lightning.utils.arrays import IntArray

Split = Literal["train", "val"]


@dataclass
class LabelledImages:
    """Labelled images in their evaluation view.

    Attributes:
        dataset: N images.
        num_classes: C.
        labels: (N,) classes 0 ... C - 1; None for multi-label images.
        shown: (N, C) for multi-label images, see `objects`; None for others.
    """

    dataset: IndexedDataset
    num_classes: int
    labels: IntArray | None = None
    shown: NDArray[np.int8] | None = None

    @property
    def classes(self) -> IntArray:
        """`labels`, for images with one class each.

        Raises:
            ValueError: the images have several labels each.
        """
        if self.labels is None:
            raise ValueError("these images have several labels each; expected one class per image")
        return self.labels

    @property
    def objects(self) -> NDArray[np.int8]:
        """(N, C): 1 shown, -1 not shown, 0 difficult (never for images with one class)."""
        if self.shown is not None:
            return self.shown
        return one_versus_rest(self.classes, self.num_classes)

    @property
    def source(self) -> ImageSource:
        """The source of the images."""
        return self.dataset.source


@dataclass
class EvaluatedNetwork:
    """A network and labelled images to measure it on; protocols ask it for features.

    Attributes:
        backbone: with the weights to evaluate.
        data: set up for evaluation, with labels.
        make_trainer: called with keyword arguments of `pl.Trainer`.
        features_dir: folder in which features are kept for later evaluations.
        output_dir: folder for the output of protocols.
        seed: of all random draws.
        holdout: share of the training images to test on, if there is no labelled validation split.
        held_out: whether images were held out; set when `images` is first read.
        clusters_of: from names of images to their clusters in the training run; None if unknown.
    """

    backbone: Backbone
    data: ImageDataModule
    make_trainer: Callable[..., pl.Trainer]
    features_dir: Path
    output_dir: Path
    seed: int = 0
    holdout: float = 0.2
    clusters_of: Callable[[Sequence[str]], IntArray | None] = lambda names: None
    held_out: bool = False
    _files: dict[Split, FeatureFiles] = field(default_factory=dict)

    @property
    def all_layers(self) -> tuple[str, ...]:
        """Every stage of the backbone, and its output."""
        return (*self.backbone.stages, POOLED)

    @cached_property
    def images(self) -> dict[Split, LabelledImages]:
        """Both splits, labelled images only, with classes numbered without gaps.

        Raises:
            ValueError: the training images have no labels, or multi-label images have no
                validation split.
        """
        data = self.data
        train = data.train_dataset.source
        val = data.val_dataset.source if data.val_dataset is not None else None
        if train.objects is not None and val is not None and val.objects is not None:
            return {"train": self._shown(train), "val": self._shown(val)}
        if train.objects is not None:
            raise ValueError(
                "multi-label training images need a multi-label validation split; set data.val"
            )
        if train.labels is None or not (train.labels >= 0).any():
            raise ValueError(
                "evaluation needs labels, and the training images have none; choose labelled "
                "data. If the folders of your images are their classes, add data=image_folder "
                "data.root=FOLDER data.train.labels_from_folder=true, or for the run's own images "
                "+data.train.labels_from_folder=true"
            )
        train = SubsetSource(train, np.flatnonzero(train.labels >= 0))
        if val is None or val.labels is None or not (val.labels >= 0).any():
            train, val = hold_out(train, self.holdout, self.seed)
            self.held_out = True
        classes = np.unique(_labels(train))
        known = np.flatnonzero(np.isin(_labels(val), classes))
        return {
            "train": self._labelled(train, classes),
            "val": self._labelled(SubsetSource(val, known), classes),
        }

    def prepare(self, layers: Sequence[str]) -> None:
        """Extract the features that are not on disk yet, all layers in one pass over each split."""
        for split in self.images:
            files = self._files_of(split)
            missing = [layer for layer in dict.fromkeys(layers) if not files.has(layer)]
            if missing:
                dataset = self.images[split].dataset
                extract_to_files(
                    self.backbone,
                    missing,
                    dataset,
                    files,
                    self.make_trainer,
                    self.data.batch_size,
                    self.num_workers(dataset.source),
                )

    def features(self, layer: str, split: Split) -> Features:
        """Features (N, width), memory-mapped and read-only."""
        self.prepare([layer])
        return self._files_of(split).load(layer)

    def tensor(self, layer: str, split: Split) -> Tensor:
        """Features (N, width) on the device of the evaluation, or in RAM where they do not fit."""
        device = self.make_trainer().strategy.root_device
        return where_it_fits(as_tensor(self.features(layer, split)), device)

    def num_workers(self, source: ImageSource) -> int:
        """The number of dataloader workers."""
        given = self.data.num_workers
        return (
            choose_num_workers(source, self.make_trainer().num_devices) if given is None else given
        )

    def _files_of(self, split: Split) -> FeatureFiles:
        if split not in self._files:
            dataset = self.images[split].dataset
            precision = str(self.make_trainer().precision)
            facts = facts_of(self.backbone, dataset, precision)
            self._files[split] = FeatureFiles(self.features_dir, facts, len(dataset))
        return self._files[split]

    def _shown(self, source: ImageSource) -> LabelledImages:
        assert source.objects is not None
        shown = source.objects
        return LabelledImages(self._as_evaluated(source), shown.shape[1], shown=shown)

    def _labelled(self, source: ImageSource, classes: IntArray) -> LabelledImages:
        labels = np.searchsorted(classes, _labels(source))
        return LabelledImages(self._as_evaluated(source), len(classes), labels)

    def _as_evaluated(self, source: ImageSource) -> IndexedDataset:
        return IndexedDataset(source, self.data.eval_transform, self.data.seed)


def hold_out(source: ImageSource, share: float, seed: int) -> tuple[SubsetSource, SubsetSource]:
    """Split the images in two parts, in their order; the second has a share of each class.

    Raises:
        ValueError: a class has fewer than two images, or the share is not in (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"holdout={share}; expected a share of the images, such as 0.2")
    labels = _labels(source)
    values, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        names = source.class_names
        rare = int(values[counts.argmin()])
        raise ValueError(
            f"class {names[rare] if names else rare} has only one labelled image, but without a "
            "validation split each class needs one to train and one to test on; add images, or "
            "set data.val"
        )
    val = take_share(labels, share, seed, leave=1)
    train = np.setdiff1d(np.arange(len(labels)), val)
    return SubsetSource(source, train), SubsetSource(source, val)


def _labels(source: ImageSource) -> IntArray:
    """The labels of a source that has labels."""
    assert source.labels is not None
    return source.labels


def as_tensor(features: Features) -> Tensor:
    """The features as a read-only tensor that shares their memory."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(features)
