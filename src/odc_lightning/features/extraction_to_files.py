"""Extraction of the features of frozen layers to files, in one pass over the images."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader

from odc_lightning.data import IndexedDataset
from odc_lightning.data.dataset import Sample
from odc_lightning.features.feature_files import FeatureFiles
from odc_lightning.models import Backbone
from odc_lightning.models.frozen_features import FrozenFeatures
from odc_lightning.utils.devices import pins_memory
from odc_lightning.utils.distributed import from_rank_zero, shard

TrainerFactory = Callable[..., pl.Trainer]


def extract_to_files(
    backbone: Backbone,
    layers: Sequence[str],
    dataset: IndexedDataset,
    files: FeatureFiles,
    make_trainer: TrainerFactory,
    batch_size: int,
    num_workers: int,
) -> None:
    """Write the features of some layers to files; each rank writes the rows of its images.

    Args:
        backbone: network, wrapped in `FrozenFeatures`.
        layers: layers of `FrozenFeatures`.
        dataset: N images with their evaluation transform.
        files: files to write.
        make_trainer: called with keyword arguments of `pl.Trainer`.
        batch_size, num_workers: dataloader settings of each rank.
    """
    encoder = FrozenFeatures(backbone, layers)
    shapes = encoder.shapes(dataset[0]["image"])
    widths = {layer: channels * positions for layer, (channels, positions) in shapes.items()}
    extraction = _Extraction(encoder, dataset, batch_size, num_workers)
    make_trainer(callbacks=[_Writer(files, widths)]).predict(extraction, return_predictions=False)


class _Extraction(pl.LightningModule):
    """One pass over the images, each rank over its contiguous shard."""

    def __init__(
        self, encoder: FrozenFeatures, dataset: IndexedDataset, batch_size: int, num_workers: int
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_workers = num_workers

    def predict_dataloader(self) -> DataLoader[Sample]:
        rank, ranks = self.trainer.global_rank, self.trainer.world_size
        return DataLoader(
            self.dataset,
            batch_size=self.batch_size,
            sampler=range(len(self.dataset))[shard(len(self.dataset), rank, ranks)],
            num_workers=self.num_workers,
            pin_memory=pins_memory(self.trainer),
        )

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        return self.encoder(batch["image"])


class _Writer(pl.Callback):
    """Writer of the files: rank 0 creates and publishes them, every rank fills its rows."""

    def __init__(self, files: FeatureFiles, widths: dict[str, int]) -> None:
        self.files = files
        self.widths = widths
        self.rows: dict[str, np.memmap[Any, np.dtype[np.float32]]] = {}
        self.token = ""

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.token = from_rank_zero(lambda: self.files.create(self.widths))
        self.rows = {layer: self.files.open(layer, self.token) for layer in self.widths}

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        indices = batch["index"].cpu().numpy()
        for layer, features in outputs.items():
            self.rows[layer][indices] = features.float().cpu().numpy()

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for rows in self.rows.values():
            rows.flush()
        self.rows.clear()
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            for layer in self.widths:
                self.files.finish(layer, self.token)
        trainer.strategy.barrier()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        if trainer.is_global_zero and self.token:
            self.files.discard(self.widths, self.token)
