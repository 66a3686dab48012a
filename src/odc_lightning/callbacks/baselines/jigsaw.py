"""Jigsaw puzzles as a pretext task (Noroozi and Favaro, ECCV 2016; Goyal et al., ICCV 2019)."""

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.callbacks.baselines.pretext import Pretext
from odc_lightning.features.extraction import Split
from odc_lightning.module import ODCModule
from odc_lightning.pretext.permutations import maximal_hamming_permutations
from odc_lightning.pretext.tiles import (
    NUM_TILES,
    cut_tiles,
    normalize_tiles,
    shuffle_tiles,
    tile_sizes,
)

SPLITS: tuple[Split, ...] = ("train", "val")


class Jigsaw(Pretext):
    """Cut nine tiles out of each image and shuffle them; the network predicts the permutation.

    The number of permutations is the number of outputs of the head. The permutation of an image and
    the positions of its tiles within their cells depend only on seed, epoch and index.

    Attributes:
        permutations: (P, 9) int64, on the module's device.
    """

    targets = "permutations"
    permutations: Tensor

    def __init__(self, seed: int = 0) -> None:
        """Set the seed of the permutations and of all random draws."""
        self.seed = seed
        self._sizes: dict[Split, int] = {}
        self._drawn: dict[Split, tuple[int, Tensor, Tensor]] = {}  # epoch and result of `_draws`

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Compute the permutations, the same on all ranks."""
        super().setup(trainer, pl_module, stage)
        if stage != "fit":
            return
        num_permutations = ODCModule.of(pl_module).num_clusters
        permutations = maximal_hamming_permutations(num_permutations, NUM_TILES, self.seed)
        self.permutations = torch.from_numpy(permutations).to(trainer.strategy.root_device)
        datasets = {split: getattr(trainer.datamodule, f"{split}_dataset") for split in SPLITS}  # type: ignore[attr-defined]
        self._sizes = {split: len(data) for split, data in datasets.items() if data is not None}
        self._drawn = {}

    def pose(
        self, images: Tensor, indices: Tensor, split: Split, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Return shuffled tiles (B, 9, 3, t, t) and the number (B,) of each permutation."""
        cell, tile = tile_sizes(images.shape[-1])
        numbers, offsets = self._draws(split, epoch, cell - tile, indices.device)
        tiles = normalize_tiles(cut_tiles(images, offsets[indices].long()))
        return shuffle_tiles(tiles, self.permutations[numbers[indices]]), numbers[indices]

    def _draws(
        self, split: Split, epoch: int, room: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Draw permutation numbers (N,) and tile offsets (N, 9, 2) for all images of an epoch.

        They are drawn at the first batch, because a run resumed within an epoch does not see the
        start of that epoch.
        """
        if split not in self._drawn or self._drawn[split][0] != epoch:
            num_images = self._sizes[split]
            rng = np.random.default_rng((self.seed, epoch, SPLITS.index(split)))
            numbers = rng.integers(len(self.permutations), size=num_images)
            offsets = rng.integers(room + 1, size=(num_images, NUM_TILES, 2), dtype=np.int16)
            on_device = (torch.from_numpy(drawn).to(device) for drawn in (numbers, offsets))
            self._drawn[split] = (epoch, *on_device)  # type: ignore[assignment]
        return self._drawn[split][1:]
