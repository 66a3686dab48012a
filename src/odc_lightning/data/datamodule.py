"""The Lightning data module: sources, subset, scan, checks, dataloaders."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader

from odc_lightning.checkpoints import TrainingRun
from odc_lightning.data.checks import (
    check_batches,
    check_choices,
    check_class_names,
    check_view,
)
from odc_lightning.data.dataset import IndexedDataset, Key, Sample, Transform
from odc_lightning.data.decoded_images import Cache, Room, decoded_once
from odc_lightning.data.decoding.images import MAX_PIXELS, SIXTEEN_BITS, reading_of
from odc_lightning.data.fast_normalize import shared_ending
from odc_lightning.data.files.search import report_passed_over
from odc_lightning.data.fingerprints import check_same_images, fingerprints
from odc_lightning.data.held_back import NUM_VIEWS, VIEWS_EPOCH, held_back_rows
from odc_lightning.data.loader import ResumableLoader, choose_num_workers
from odc_lightning.data.sampler import EpochSampler
from odc_lightning.data.scan import ScanMode, scan_source, without_problems
from odc_lightning.data.shared_pixels import forks
from odc_lightning.data.sources import ImageSource
from odc_lightning.data.subset import chosen_part, same_classes
from odc_lightning.data.views_of_copies import EnoughFor
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.devices import pins_memory
from odc_lightning.utils.distributed import from_rank_zero, shard

log = logging.getLogger(__name__)

LARGEST_THUMBNAIL = 160  # side in pixels of a picture on a page


class ImageDataModule(pl.LightningDataModule):
    """Images for training and scoring, identified by index.

    `setup` makes `train_dataset` (N images with `train_transform`) and `val_dataset` (with
    `eval_transform`, or None). `num_samples` is then N.

    Args:
        train, val: functions that build the sources; `val` may be None.
        train_transform, eval_transform: from a PIL image to a float32 tensor (3, S, S).
        num_views: V, how many views of an image `train_transform` draws for training. With two
            or more a batch of images is (B, V, 3, S, S).
        image_size: S, in pixels; an evaluation transform that gives another size is refused.
        view_size: the same for the training transform; None: S.
        batch_size: the global batch size, over all ranks.
        num_workers: dataloader workers per rank; None chooses by the machine.
        subset: arguments of `subset_of` for the training images, or None for all of them.
            Validation uses the drawn classes only.
        scan: how to look for damaged files, see `scan_images`.
        on_error: what to do about damaged files, `raise` or `skip`.
        value_range, max_pixels: how files are read, see `Reading`.
        cache: where images are kept once they are decoded for a training, see `decoded_once`; a
            file is in the trainer's ``default_root_dir``.
        held_back: share of the training images that no training batch has, see
            `odc_lightning.data.held_back`. They are in `train_dataset` like all others.
        drop_last: leave out the incomplete batch at the end of an epoch.
        sampling_with_replacement: as in the authors' code; the paper does not say.
        seed: for the order and the augmentation.
        root, exclude: folder in which the builders look for files, and what they pass over there;
            the configs refer to them.
        flip, crop: the probability that augmentation mirrors an image, and the smallest and
            largest share of its area that a crop keeps; the configs refer to them.
        mean, std, interpolation: those of all views; None: as each view has them. The config
            carries them into the views.
        name: the data set's name in tables of results, the same as for published results:
            `imagenet`, `places205`, `voc07`, `digits`, `fashion_mnist`, `cifar10`, ...
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
        value_range: Sequence[float] | Literal["16bit"] | None = SIXTEEN_BITS,
        max_pixels: int = MAX_PIXELS,
        cache: Cache = "auto",
        held_back: float = 0.0,
        drop_last: bool = True,
        sampling_with_replacement: bool = False,
        num_views: int = 1,
        seed: int = 0,
        root: str | None = None,
        exclude: Sequence[str] | None = None,
        flip: float = 0.5,
        crop: Sequence[float] = (0.3, 1.0),
        view_size: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        interpolation: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        check_choices(on_error, num_views, subset, seed, held_back)
        self.build_train = train
        self.build_val = val
        self.train_transform = train_transform
        self.eval_transform = eval_transform
        self.image_size = image_size
        self.view_size = image_size if view_size is None else view_size
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.subset = subset
        self.scan = scan
        self.on_error = on_error
        self.reading = reading_of({"value_range": value_range, "max_pixels": max_pixels})
        self.cache: Cache = cache
        self.held_back = held_back
        self.drop_last = drop_last
        self.sampling_with_replacement = sampling_with_replacement
        self.num_views = num_views
        self.seed = seed
        self.root = root
        self.exclude = exclude
        self.flip = flip
        self.crop = crop
        self.mean = mean
        self.std = std
        self.interpolation = interpolation
        self.name = name
        self._sources: tuple[ImageSource, ImageSource | None] | None = None
        self._images: Tensor | None = None
        self._ending = shared_ending(train_transform, eval_transform)
        self._is_set_up = False
        self._may_train = False

    @property
    def num_samples(self) -> int:
        """N, the number of training images."""
        return len(self.train_dataset)

    @property
    def held_back_rows(self) -> IntArray:
        """The indices (M,) of the images that no training batch has, ascending."""
        return held_back_rows(self.num_samples, self.held_back, self.seed)

    def prepare_data(self) -> None:
        """Build the sources, which may download; Lightning calls this once per node."""
        self._build_sources()

    def setup(self, stage: str | None = None) -> None:
        """Make the datasets once, and check them.

        The training batches and `train_transform` are checked for the stage `fit` and for None
        (all stages), not for the stages that evaluate.

        Raises:
            ValueError: if images, subset, batch size or transforms are unusable, see `checks`.
        """
        for_training = stage in (None, "fit")
        if self._is_set_up and (self._may_train or not for_training):
            return
        if not self._is_set_up:
            self._make_datasets()
        if for_training:
            self._decode_once()
        if for_training:
            trained = self.num_samples - len(self.held_back_rows)
            check_batches(trained, self.batch_size, self._world_size, self.drop_last)
            one_view = IndexedDataset(self.train_dataset.source, self.train_transform, self.seed)
            check_view(one_view[0]["image"], "train_transform", self.view_size, "view_size")
        as_evaluated = self._as_evaluated(self.train_dataset.source)
        check_view(as_evaluated[0]["image"], "eval_transform", self.image_size)
        self._is_set_up, self._may_train = True, for_training

    def train_dataloader(self) -> ResumableLoader:
        """Shuffled batches of this rank; they do not depend on the number of workers."""
        rank = 0 if self.trainer is None else self.trainer.global_rank
        sampler = EpochSampler(
            self.num_samples,
            self.seed,
            rank,
            self._world_size,
            replacement=self.sampling_with_replacement,
            drop_last=self.drop_last,
            held_back=self.held_back_rows,
        )
        num_workers = self._num_workers
        return ResumableLoader(
            self._sent(self.train_dataset),
            self.batch_size // self._world_size,
            sampler=sampler,
            drop_last=self.drop_last,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            pin_memory=pins_memory(self.trainer),
            generator=torch.Generator(),  # else each epoch draws from the global generator
        )

    def extraction_dataloader(
        self, split: Literal["train", "val"], rank: int = 0, world_size: int = 1
    ) -> DataLoader[Sample]:
        """Evaluation views in the order of their index, for features and scores.

        Each rank gets one contiguous shard; sizes differ by one at most. Nothing is padded, so the
        shards in the order of the ranks are the data set.

        Raises:
            ValueError: for `val` if there are no validation images.
        """
        dataset = self._as_evaluated(self.train_dataset.source)
        if split == "val":
            if self.val_dataset is None:
                raise ValueError("there are no validation images; set data.val, or use split=train")
            dataset = self.val_dataset
        rows = range(len(dataset))[shard(len(dataset), rank, world_size)]
        return self._loader(dataset, rows, max(1, self.batch_size // world_size))

    def rows_dataloader(
        self, rows: IntArray, rank: int = 0, world_size: int = 1, views: bool = False
    ) -> DataLoader[Sample]:
        """Some training images in the given order; a contiguous shard for each rank.

        Args:
            rows: (M,) indices.
            rank, world_size: as for `extraction_dataloader`.
            views: give `NUM_VIEWS` views by `train_transform`, (B, V, 3, S, S), in place of the
                evaluation view. They are the same at every call and in no training batch.
        """
        dataset = self._as_evaluated(self.train_dataset.source)
        own: list[int] = rows[shard(len(rows), rank, world_size)].tolist()
        size = self.batch_size // world_size
        if not views:
            return self._loader(dataset, own, max(1, size))
        dataset = IndexedDataset(dataset.source, self.train_transform, self.seed, NUM_VIEWS)
        keys = [(VIEWS_EPOCH, row, 0) for row in own]
        return self._loader(dataset, keys, max(1, size // NUM_VIEWS))

    def _loader(
        self, dataset: IndexedDataset, keys: Sequence[Key], batch_size: int
    ) -> DataLoader[Sample]:
        return DataLoader(
            self._sent(dataset),
            batch_size,
            sampler=keys,
            num_workers=self._num_workers,
            pin_memory=pins_memory(self.trainer),
            generator=torch.Generator(),
        )

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> dict[str, Any]:
        """Keep the indices in RAM too, as `host_index`, for features in RAM or on disk."""
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return {**moved, "host_index": batch["index"]}

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Normalise images that came as pixels, on the network's device."""
        if self._ending is None or batch["image"].dtype != torch.uint8:
            return batch
        images = self._ending.normalize(batch["image"])
        if self.trainer is not None:  # it has converted numbers that came from the loader
            images = self.trainer.precision_plugin.convert_input(images)
        return {**batch, "image": images}

    def state_dict(self) -> dict[str, Any]:
        """The fingerprints (N,) of the training images, under `images`."""
        return {"images": self._fingerprints()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Check that the training images are the checkpoint's.

        Raises:
            ValueError: if they differ.
        """
        source = self.train_dataset.source
        names = [source.name(index) for index in range(len(source))]
        file = None if self.trainer is None else self.trainer.ckpt_path
        run = None if file is None else TrainingRun.of(Path(file))
        known = None if run is None else run.image_names()
        check_same_images(state_dict["images"], self._fingerprints(), names, known)

    def _fingerprints(self) -> Tensor:
        if self._images is None:
            self._images = fingerprints(self.train_dataset.source)
        return self._images

    @property
    def _world_size(self) -> int:
        return 1 if self.trainer is None else self.trainer.world_size

    @property
    def _num_workers(self) -> int:
        if self.num_workers is not None:
            return self.num_workers
        ranks_on_node = 1 if self.trainer is None else self.trainer.num_devices
        return choose_num_workers(self.train_dataset.source, ranks_on_node)

    def _build_sources(self) -> tuple[ImageSource, ImageSource | None]:
        if self._sources is None:
            train, val = self.build_train(), self.build_val() if self.build_val else None
            for name, source in (("train", train), ("val", val)):
                if source is not None:
                    source.read_as(self.reading)
                    report_passed_over(name, source.passed_over)
            self._sources = train, val
        return self._sources

    def _make_datasets(self) -> None:
        train, val = self._build_sources()
        if val is not None:
            check_class_names(train.class_names, val.class_names)
        train = chosen_part(train, self.subset)
        if self.subset is not None:
            val = None if val is None else same_classes(val, train)
        train = self._readable(train)
        val = None if val is None else self._readable(val)
        if len(train) == 0:
            raise ValueError("data.train has no images that can be read; expected at least one")
        self.train_dataset = IndexedDataset(train, self.train_transform, self.seed, self.num_views)
        self.val_dataset = None if val is None else self._as_evaluated(val)

    def _decode_once(self) -> None:
        """Keep decoded images, in the size that views and thumbnails need."""
        ranks_on_node, folder = 1, Path(tempfile.gettempdir())
        if self.trainer is not None:
            ranks_on_node, folder = self.trainer.num_devices, Path(self.trainer.default_root_dir)
        room = Room(folder, ranks_on_node, forks() or self._num_workers == 0)
        views = (self.train_transform, self.eval_transform)
        for dataset, used in ((self.train_dataset, views), (self.val_dataset, views[1:])):
            if dataset is None:
                continue
            enough = EnoughFor(*used, shorter_side=LARGEST_THUMBNAIL)
            dataset.source, line = decoded_once(dataset.source, enough, self.cache, room)
            if line:
                rank_zero_only(log.info)(line)

    def _sent(self, dataset: IndexedDataset) -> IndexedDataset:
        """The data set as dataloaders send it: to a GPU as pixels, a quarter of the bytes."""
        if self._ending is None or not pins_memory(self.trainer):
            return dataset
        return IndexedDataset(
            dataset.source, dataset.transform, dataset.seed, dataset.num_views, as_pixels=True
        )

    def _as_evaluated(self, source: ImageSource) -> IndexedDataset:
        return IndexedDataset(source, self.eval_transform, self.seed)

    def _readable(self, source: ImageSource) -> ImageSource:
        """The images without damaged files; the first rank scans each file once, for all ranks."""
        problems = from_rank_zero(lambda: scan_source(source, self.scan, self.reading))
        return without_problems(source, problems, self.on_error)
