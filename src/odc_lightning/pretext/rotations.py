"""The four rotations of an image (Gidaris, Singh and Komodakis, ICLR 2018)."""

import torch
from torch import Tensor

NUM_ROTATIONS = 4


def four_rotations(images: Tensor) -> tuple[Tensor, Tensor]:
    """Rotate each image by 0, 90, 180 and 270 degrees counter-clockwise.

    All four rotations of an image are in one batch, as the paper recommends (Sec. 2.2), so the
    content of an image gives no hint. Quarter turns move whole pixels, without resampling.

    Args:
        images: (B, 3, S, S).

    Returns:
        Views (B, 4, 3, S, S), and the number of quarter turns of each view (4 B,) int64, in the
        order of the flattened views.

    Raises:
        ValueError: if the images are not square.
    """
    height, width = images.shape[-2:]
    if height != width:
        raise ValueError(
            f"images have {height} x {width} pixels, expected squares: the shape of any other "
            "image reveals a quarter turn; crop to squares (config key data.image_size)"
        )
    turns = range(NUM_ROTATIONS)
    views = torch.stack([torch.rot90(images, turn, dims=(-2, -1)) for turn in turns], dim=1)
    return views, torch.arange(NUM_ROTATIONS, device=images.device).repeat(len(images))
