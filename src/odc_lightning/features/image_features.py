"""Features of some rows of a data set, batch by batch, without a Trainer."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from odc_lightning.data import IndexedDataset
from odc_lightning.data.dataset import Sample


def image_features(
    embed: Callable[[Tensor], Tensor],
    dataset: IndexedDataset,
    rows: Sequence[int],
    *,
    device: torch.device,
    batch_size: int,
    num_workers: int,
) -> Iterator[Tensor]:
    """Yield features (b, width) fp32 on the CPU, in the order of ``rows``.

    Args:
        embed: maps images (b, 3, H, W) on ``device`` to features (b, width).
        dataset: images with their evaluation transform.
        rows: indices of the images in ``dataset``.
        device: device of ``embed``.
        batch_size: b; the last batch may be smaller.
        num_workers: number of processes that read images.
    """
    loader: DataLoader[Sample] = DataLoader(
        dataset,
        batch_size,
        sampler=rows,
        num_workers=num_workers,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # else the loader draws from the global one
    )
    for batch in loader:
        yield embed(batch["image"].to(device, non_blocking=True)).float().cpu()
