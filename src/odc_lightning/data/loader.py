"""A data loader that Lightning can take up again in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from odc_lightning.data.dataset import IndexedDataset, Sample
from odc_lightning.data.sampler import EpochSampler


class ResumableLoader(DataLoader[Sample]):
    """Batches in the order of an `EpochSampler`, with a memory of how many were taken.

    Lightning keeps `state_dict` in its checkpoints and hands it to `load_state_dict` before the
    first batch after a restart.

    Args:
        batch_size: samples a batch on this rank.
    """

    def __init__(
        self, dataset: IndexedDataset, sampler: EpochSampler, batch_size: int, **kwargs: Any
    ) -> None:
        super().__init__(
            dataset, batch_size, sampler=sampler, drop_last=sampler.drop_last, **kwargs
        )
        self._order = sampler
        self._samples_a_batch = batch_size
        self._taken = 0  # batches of the sampler's epoch

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch names a private class
        # A generator starts at its first batch, not when it is made. Lightning makes the first
        # iterator before it tells the sampler the epoch, and workers begin to fetch at once.
        self._taken = self._order.first // self._samples_a_batch
        for batch in super().__iter__():
            self._taken += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self._order.epoch, "batches": self._taken}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._order.start_at(state["epoch"], state["batches"] * self._samples_a_batch)
