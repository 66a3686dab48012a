"""Features of many images, read by several processes, batch by batch."""

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
    """Features (b, width) fp32 on the CPU, in the order of ``rows``.

    Args:
        embed: images (b, 3, H, W) on the device to features.
        dataset: in its evaluation view.
        rows: indices into it.
        device: of ``embed``.
        batch_size: b, but for the last batch.
        num_workers: processes that read images.
    """
    loader: DataLoader[Sample] = DataLoader(
        dataset,
        batch_size,
        sampler=rows,
        num_workers=num_workers,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # else it takes a number from the global one
    )
    for batch in loader:
        yield embed(batch["image"].to(device, non_blocking=True)).float().cpu()
