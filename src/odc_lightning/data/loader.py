"""A dataloader that Lightning can resume in the middle of an epoch; the number of its workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightning_fabric.utilities.data import suggested_max_num_workers
from torch.utils.data import DataLoader

from odc_lightning.data.dataset import Sample
from odc_lightning.data.sampler import EpochSampler
from odc_lightning.data.sources import ImageSource


class ResumableLoader(DataLoader[Sample]):
    """A dataloader over an `EpochSampler` that counts the batches it has yielded.

    Lightning saves `state_dict` in its checkpoints and passes it to `load_state_dict` before the
    first batch after a restart.
    """

    sampler: EpochSampler
    batch_size: int
    _epoch = 0  # the epoch of the batches: the sampler may be one ahead
    _taken = 0  # batches of that epoch

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch names a private class
        # A generator starts at its first batch, not when it is made. Lightning makes the first
        # iterator before it sets the sampler's epoch, and workers would start fetching at once.
        self._epoch = self.sampler.epoch
        self._taken = self.sampler.first // self.batch_size
        for batch in super().__iter__():
            self._taken += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self._epoch, "batches": self._taken}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self._epoch, self._taken = state["epoch"], state["batches"]
        self.sampler.start_at(self._epoch, self._taken * self.batch_size)


# A core decodes and augments about 160 images/s for ImageNet. Each worker holds two batches.
MOST_WORKERS = 32


def choose_num_workers(source: ImageSource, ranks_on_node: int = 1) -> int:
    """Dataloader workers for one rank: one fewer than its cores, at most `MOST_WORKERS`.

    A small array in memory gets none: starting processes and sending batches between them takes
    as long as augmenting it.
    """
    if len(source) < 10_000 and source.path(0) is None:
        return 0
    return min(MOST_WORKERS, suggested_max_num_workers(ranks_on_node))
