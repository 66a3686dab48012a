"""The order of the training images, a function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from odc_lightning.utils.arrays import IntArray


def epoch_order(num_samples: int, seed: int, epoch: int, replacement: bool = False) -> IntArray:
    """The indices (N,) of one epoch over all ranks: a permutation, or draws with `replacement`."""
    rng = np.random.default_rng((seed, epoch))
    if replacement:
        return rng.integers(num_samples, size=num_samples)
    return rng.permutation(num_samples)


def uniform_order(labels: IntArray, seed: int, epoch: int) -> IntArray:
    """The indices (N,) of an epoch in which all clusters occur equally often (DeepCluster).

    N // C + 1 samples are drawn from each of the C non-empty clusters, with replacement if a
    cluster has no more than that. The draws are shuffled and the first N are kept.

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
    """How often each entry has occurred earlier in `order`; (N,)."""
    by_index = np.argsort(order, kind="stable")
    starts = np.flatnonzero(np.diff(order[by_index], prepend=-1))
    lengths = np.diff(starts, append=len(order))
    counts = np.empty(len(order), dtype=np.int64)
    counts[by_index] = np.arange(len(order)) - np.repeat(starts, lengths)
    return counts


def rank_share(order: IntArray, rank: int, world_size: int, drop_last: bool) -> IntArray:
    """Every `world_size`-th entry, the same number for each rank.

    The g-th batches of all ranks together are the g-th batch of a single process. If the entries
    do not divide evenly, `drop_last` drops the rest, so that the number of complete batches does
    not depend on the number of ranks. Otherwise entries from the start of `order` are repeated.
    """
    rounded = len(order) if drop_last else len(order) + world_size - 1
    return np.resize(order, rounded // world_size * world_size)[rank::world_size]


class EpochSampler(Sampler[tuple[int, int, int]]):
    """Yields `(epoch, index, copy)`, the keys of `IndexedDataset`.

    `copy` counts how often the index has occurred earlier in the epoch, over all ranks; it is 0 if
    each index occurs once. Lightning calls `set_epoch` before each epoch, also after a restart.

    Attributes:
        trained: indices of the images that occur, ascending.
        labels: (N,) clusters to sample uniformly over; None for `epoch_order`. It must be set
            before the first batch of an epoch.

    Args:
        num_samples: N.
        rank, world_size: this process takes every `world_size`-th sample.
        replacement: draw N indices with replacement, as the authors' code does.
        drop_last: see `rank_share`; the same value as the dataloader's.
        held_back: indices that never occur; an epoch has the remaining N - M images.

    Raises:
        ValueError: unless 0 <= rank < world_size.
    """

    def __init__(
        self,
        num_samples: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        replacement: bool = False,
        drop_last: bool = False,
        held_back: IntArray | None = None,
    ) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"rank={rank} of world_size={world_size}; expected 0 <= rank < size")
        every = np.arange(num_samples)
        self.trained = every if held_back is None else np.setdiff1d(every, held_back)
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.replacement = replacement
        self.drop_last = drop_last
        self.epoch = 0
        self.labels: IntArray | None = None
        self._start = (0, 0)  # an epoch, and the number of its keys that were used before a restart

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def start_at(self, epoch: int, num_used: int) -> None:
        """Skip the first `num_used` keys of this `epoch`, which were used before a restart."""
        self._start = (epoch, num_used)

    @property
    def first(self) -> int:
        """The position in this rank's keys at which the current epoch starts."""
        epoch, num_used = self._start
        return num_used if epoch == self.epoch else 0

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        if self.labels is None:
            order = epoch_order(len(self.trained), self.seed, self.epoch, self.replacement)
        else:
            order = uniform_order(self.labels[self.trained], self.seed, self.epoch)
        order = self.trained[order]
        keys = np.stack([order, occurrences(order)], axis=1)
        rows = rank_share(np.arange(len(order)), self.rank, self.world_size, self.drop_last)
        epoch = self.epoch  # a copy, because `set_epoch` may be called while workers still fetch
        for index, copy in keys[rows][self.first :].tolist():
            yield epoch, index, copy

    def __len__(self) -> int:
        """Keys of this rank in a whole epoch."""
        extra = 0 if self.drop_last else self.world_size - 1
        return (len(self.trained) + extra) // self.world_size
