"""Linear probes on every stage of a frozen network, trained together (Sec. 4.1, Tables 1 and 2)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy

from odc_lightning.data import EpochSampler
from odc_lightning.data.dataset import Key
from odc_lightning.models.linear_probe import LinearProbe
from odc_lightning.utils.devices import pins_memory
from odc_lightning.utils.distributed import shard
from odc_lightning.utils.logged_steps import is_logged

Batch = dict[str, Any]


class LinearProbes(pl.LightningModule):
    """One `LinearProbe` per layer; their losses are summed, so that they train independently.

    A batch is ``{"target": (B,)}`` with either ``"features"``, layer -> (B, width), or
    ``"image"`` (B, 3, H, W) for the encoder.

    Args:
        shapes: layer -> channels and positions of its features, whose product is the width.
        num_classes: C.
        optimizer: called with the probes' parameters.
        scheduler: called with the optimiser; stepped each epoch.
        encoder: from images to layer -> features, without gradients; not needed if batches have
            features.
        network: digest of the network; probes of another network are not resumed.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        num_classes: int,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        encoder: nn.Module | None = None,
        network: str = "",
    ) -> None:
        super().__init__()
        self.network = network
        self.encoder = encoder
        self.probes = nn.ModuleDict(
            {
                layer: LinearProbe(channels * positions, num_classes, channels)
                for layer, (channels, positions) in shapes.items()
            }
        )
        self.accuracies = nn.ModuleDict(
            {layer: nn.ModuleDict(top_accuracies(num_classes)) for layer in shapes}
        )
        self._optimizer = optimizer
        self._scheduler = scheduler

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The sum of the probes' cross-entropies; their mean is logged."""
        logits = self._logits(batch).values()
        losses = torch.stack([cross_entropy(each, batch["target"]) for each in logits])
        if is_logged(self._trainer):
            self.log("train/loss", losses.mean())
        return losses.sum()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Update the accuracies."""
        for layer, logits in self._logits(batch).items():
            for name, accuracy in self.accuracies[layer].items():  # type: ignore[operator]
                accuracy.update(logits, batch["target"])
                self.log(f"linear/{layer}/{name}", accuracy)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser and schedule of the probes."""
        optimizer = self._optimizer(self.probes.parameters())
        return {"optimizer": optimizer, "lr_scheduler": self._scheduler(optimizer)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Record the network that the probes belong to."""
        checkpoint["network"] = self.network

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the probes of another network, or of other layers.

        Raises:
            ValueError: the checkpoint has such probes.
        """
        layers = {name.split(".")[1] for name in checkpoint["state_dict"] if "probes." in name}
        if checkpoint.get("network") != self.network or layers != set(self.probes):
            raise ValueError(
                f"the checkpoint has probes on {', '.join(sorted(layers))} of another network, or "
                f"on other layers than {', '.join(self.probes)}; resume with its own settings"
            )

    def _logits(self, batch: Batch) -> dict[str, Tensor]:
        features = batch.get("features")
        if features is None:
            assert self.encoder is not None, "images need an encoder"
            features = self.encoder(batch["image"])
        return {layer: probe(features[layer]) for layer, probe in self.probes.items()}


def top_accuracies(num_classes: int) -> dict[str, MulticlassAccuracy]:
    """Top-1, and top-5 where there are more than five classes."""
    tops = [1, 5] if num_classes > 5 else [1]
    return {f"top{k}": MulticlassAccuracy(num_classes, top_k=k, average="micro") for k in tops}


class Labelled(Dataset[Batch]):
    """The samples of another dataset, each with its label as ``"target"``."""

    def __init__(self, dataset: Dataset[Any], labels: np.ndarray) -> None:
        self.dataset = dataset
        self.labels = torch.from_numpy(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: Key) -> Batch:
        index = key[1] if isinstance(key, tuple) else key
        return {**self.dataset[key], "target": self.labels[index]}


class FeatureRows(Dataset[Batch]):
    """Whole batches of features, read from memory-mapped arrays.

    Args:
        features: layer -> (N, width).
        labels: (N,).
    """

    def __init__(self, features: Mapping[str, NDArray[np.float32]], labels: np.ndarray) -> None:
        self.features = dict(features)
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """A whole batch; torch calls this method if it exists, instead of reading each sample."""
        rows = np.array([key[1] if isinstance(key, tuple) else key for key in keys])
        return {
            "features": {
                layer: torch.from_numpy(values[rows]) for layer, values in self.features.items()
            },
            "target": torch.from_numpy(self.labels[rows]),
        }


class Batches(pl.LightningDataModule):
    """Shuffled training batches, and every test sample once, over all ranks.

    Args:
        train, val: `Labelled` images or `FeatureRows`.
        batch_size: over all ranks; at most N.
        num_workers: dataloader workers of each rank.
        seed: of the order.
    """

    def __init__(
        self,
        train: Labelled | FeatureRows,
        val: Labelled | FeatureRows,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.train = train
        self.val = val
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed

    def train_dataloader(self) -> DataLoader[Batch]:
        """Training batches, without an incomplete last one, whose statistics would be poor.

        Raises:
            ValueError: a rank's share of a batch has fewer than two images.
        """
        rank, ranks = self._rank_and_ranks()
        size = min(self.batch_size, len(self.train)) // ranks
        if size < 2:
            raise ValueError(
                f"{len(self.train)} training images in batches of {self.batch_size} over {ranks} "
                "processes leave fewer than two for each, and batch normalisation cannot train on "
                "one; use a larger batch_size, or fewer processes"
            )
        sampler = EpochSampler(len(self.train), self.seed, rank, ranks, drop_last=True)
        return self._loader(self.train, size, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Test batches: contiguous shards without padding."""
        rank, ranks = self._rank_and_ranks()
        rows = range(len(self.val))[shard(len(self.val), rank, ranks)]
        return self._loader(self.val, self.batch_size, sampler=rows)

    def _loader(self, dataset: Any, batch_size: int, **kwargs: Any) -> DataLoader[Batch]:
        return DataLoader(
            dataset,
            batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=pins_memory(self.trainer),
            generator=torch.Generator(),
            collate_fn=_same if isinstance(dataset, FeatureRows) else None,
            **kwargs,
        )

    def _rank_and_ranks(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size


def _same(batch: Any) -> Any:
    return batch
