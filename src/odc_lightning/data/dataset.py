"""A dataset whose augmentation depends only on the seed, the epoch and the index."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from odc_lightning.data.fast_normalize import with_quick_ending
from odc_lightning.data.sources import ImageSource
from odc_lightning.data.views_of_copies import on_copies
from odc_lightning.utils.seeds import sample_seed, seeded

Transform = Callable[[Image.Image], Tensor]
Key = int | tuple[int, int, int]  # an index, or (epoch, index, copy)


class Sample(TypedDict):
    """One sample of the dataset: views and index, never a label."""

    image: Tensor
    index: int


class IndexedDataset(Dataset[Sample]):
    """The images of `source` after `transform`, each with its index.

    The key is `(epoch, index, copy)`, as `EpochSampler` gives it, or just an index, which means
    epoch 0. An image that occurs again in an epoch is another copy, with another augmentation.
    The key holds everything a sample depends on. Persistent workers therefore need no message at a
    new epoch, and neither the number of workers or ranks nor a restart changes a sample.
    `transform` must draw from torch's generator only, as torchvision's v2 transforms do.

    Args:
        transform: from a PIL image to a float32 tensor (3, H, W).
        num_views: V, how many views of the image `transform` draws. Two or more are stacked,
            (V, 3, H, W); the first equals the view of ``num_views=1``.
        as_pixels: give uint8 where `transform` ends as `NormalizedPixels` does, which makes them
            numbers later.
    """

    def __init__(
        self,
        source: ImageSource,
        transform: Transform,
        seed: int = 0,
        num_views: int = 1,
        as_pixels: bool = False,
    ) -> None:
        self.source = source
        self.transform = transform
        self._quick: Transform = on_copies(with_quick_ending(transform, later=as_pixels))
        self.seed = seed
        self.num_views = num_views

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: Key) -> Sample:
        epoch, index, copy = key if isinstance(key, tuple) else (0, key, 0)
        image = self.source.load(index)
        with seeded(sample_seed(self.seed, epoch, index, copy)):
            views = [self._quick(image) for _ in range(self.num_views)]
        return {"image": views[0] if self.num_views == 1 else torch.stack(views), "index": index}
