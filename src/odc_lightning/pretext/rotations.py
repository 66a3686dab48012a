"""Four rotations of an image (Gidaris, Singh and Komodakis, ICLR 2018)."""

import torch
from torch import Tensor

NUM_ROTATIONS = 4


def four_rotations(images: Tensor) -> tuple[Tensor, Tensor]:
    """Each image turned by 0, 90, 180 and 270 degrees against the clock, and by which.

    All four stand in one batch, as the paper recommends (Sec. 2.2): so a network cannot tell them
    apart by what is shown. Quarter turns move whole pixels and leave no trace of resampling.

    Args:
        images: (B, 3, S, S).

    Returns:
        Views (B, 4, 3, S, S), and for each view the number of quarter turns (4 B,) int64, in the
        order in which the views are flattened.

    Raises:
        ValueError: the images are not square.
    """
    height, width = images.shape[-2:]
    if height != width:
        raise ValueError(
            f"images have {height} x {width} pixels, expected squares: a quarter turn of another "
            "shape is told by its shape alone; crop to squares (config key data.image_size)"
        )
    turns = range(NUM_ROTATIONS)
    views = torch.stack([torch.rot90(images, turn, dims=(-2, -1)) for turn in turns], dim=1)
    return views, torch.arange(NUM_ROTATIONS, device=images.device).repeat(len(images))
