"""The order of training, as a function of the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from odc_lightning.utils.arrays import IntArray


def epoch_order(num_samples: int, seed: int, epoch: int, replacement: bool = False) -> IntArray:
    """The (N,) indices of one epoch over all ranks; `replacement` draws each one anew."""
    rng = np.random.default_rng((seed, epoch))
    if replacement:
        return rng.integers(num_samples, size=num_samples)
    return rng.permutation(num_samples)


def uniform_order(labels: IntArray, seed: int, epoch: int) -> IntArray:
    """The (N,) indices of an epoch in which all clusters occur equally often (DeepCluster).

    Of each cluster N / C + 1 samples are drawn, with replacement where it has no more than that;
    they are shuffled and the first N are kept. Empty clusters do not count.

    Args:
        labels: (N,) the cluster of each sample.
    """
    rng = np.random.default_rng((seed, epoch))
    num_samples = len(labels)
    by_cluster = np.argsort(labels, kind="stable")
    members = np.split(by_cluster, np.flatnonzero(np.diff(labels[by_cluster])) + 1)
    share = num_samples // len(members) + 1
    drawn = [rng.choice(each, share, replace=len(each) <= share) for each in members]
    return rng.permutation(np.concatenate(drawn))[:num_samples]


def occurrences(order: IntArray) -> IntArray:
    """How many times (N,) each entry has occurred before in `order`."""
    by_index = np.argsort(order, kind="stable")
    starts = np.flatnonzero(np.diff(order[by_index], prepend=-1))
    lengths = np.diff(starts, append=len(order))
    counts = np.empty(len(order), dtype=np.int64)
    counts[by_index] = np.arange(len(order)) - np.repeat(starts, lengths)
    return counts


def rank_share(order: IntArray, rank: int, world_size: int, drop_last: bool) -> IntArray:
    """Every `world_size`-th entry, the same number for each rank.

    The g-th batches of all ranks together are the g-th batch of a single process. What does not
    divide evenly is dropped with `drop_last` (so that the number of complete batches does not
    depend on the number of ranks either), else filled up from the beginning of `order`.
    """
    rounded = len(order) if drop_last else len(order) + world_size - 1
    return np.resize(order, rounded // world_size * world_size)[rank::world_size]


class EpochSampler(Sampler[tuple[int, int, int]]):
    """Yields `(epoch, index, copy)`, which is all that `IndexedDataset` needs to know.

    `copy` counts how often the index has occurred before in the epoch, over all ranks: 0 where
    each occurs once. Lightning calls `set_epoch` before each epoch, after a restart too.

    Attributes:
        labels: (N,) clusters to sample uniformly over; None: samples occur as they are. Whoever
            sets it does so before the first batch of an epoch.

    Args:
        num_samples: N.
        rank, world_size: this process takes one in `world_size` samples.
        replacement: draw N indices with replacement, as the authors' code does.
        drop_last: see `rank_share`; set it as on the data loader.
    """

    def __init__(
        self,
        num_samples: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        replacement: bool = False,
        drop_last: bool = False,
    ) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"rank={rank} of world_size={world_size}; expected 0 <= rank < size")
        self.num_samples = num_samples
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.replacement = replacement
        self.drop_last = drop_last
        self.epoch = 0
        self.labels: IntArray | None = None
        self._start = (0, 0)  # an epoch, and how many of its keys were used before a restart

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def start_at(self, epoch: int, num_used: int) -> None:
        """In this `epoch` alone, leave out the first `num_used` keys: a restart has used them."""
        self._start = (epoch, num_used)

    @property
    def first(self) -> int:
        """The position in this rank's keys at which the current epoch starts."""
        epoch, num_used = self._start
        return num_used if epoch == self.epoch else 0

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        if self.labels is None:
            order = epoch_order(self.num_samples, self.seed, self.epoch, self.replacement)
        else:
            order = uniform_order(self.labels, self.seed, self.epoch)
        keys = np.stack([order, occurrences(order)], axis=1)
        rows = rank_share(np.arange(len(order)), self.rank, self.world_size, self.drop_last)
        epoch = self.epoch  # for `set_epoch` may come while workers still fetch
        for index, copy in keys[rows][self.first :].tolist():
            yield epoch, index, copy

    def __len__(self) -> int:
        """Keys of this rank in a whole epoch."""
        extra = 0 if self.drop_last else self.world_size - 1
        return (self.num_samples + extra) // self.world_size
