"""Tiles of the jigsaw puzzle, cut and normalised such that edges and brightness give no hint."""

import torch
from torch import Tensor

GRID = 3
NUM_TILES = GRID * GRID
# A tile covers 64 of the 85 pixels of its cell, as for images of 255 pixels (Noroozi and Favaro).
TILE, CELL = 64, 85
MIN_IMAGE_SIZE = 30  # gives tiles of 8 pixels, the minimum of the small network
# Lower bound of the standard deviation, so that noise in a uniform tile is not amplified.
FLAT = 1e-2


def tile_sizes(image_size: int) -> tuple[int, int]:
    """Compute the sides of a cell and of a tile, in pixels.

    Args:
        image_size: side of the square image, in pixels.

    Raises:
        ValueError: if the tiles would be smaller than 8 pixels.
    """
    if image_size < MIN_IMAGE_SIZE:
        raise ValueError(
            f"images of {image_size} pixels are too small for nine tiles, expected at least "
            f"{MIN_IMAGE_SIZE}; set data.image_size"
        )
    cell = image_size // GRID
    return cell, round(cell * TILE / CELL)


def cut_tiles(images: Tensor, offsets: Tensor) -> Tensor:
    """Cut one tile out of each cell of a 3 x 3 grid.

    Gaps of random width separate neighbouring tiles, so that lines across their edges do not reveal
    the order.

    Args:
        images: (B, 3, S, S).
        offsets: (B, 9, 2) int64, top and left of each tile within its cell, in pixels, from 0 to
            the side of the cell minus the side of the tile.

    Returns:
        (B, 9, 3, t, t), in row-major order of the grid.

    Raises:
        ValueError: if the images are not square, or too small.
    """
    height, width = images.shape[-2:]
    if height != width:
        raise ValueError(
            f"images have {height} x {width} pixels, expected squares; crop to squares (config "
            "key data.image_size)"
        )
    cell, tile = tile_sizes(width)
    numbers = torch.arange(NUM_TILES, device=images.device)
    corners = torch.stack([numbers // GRID, numbers % GRID], dim=1) * cell + offsets  # (B, 9, 2)
    steps = torch.arange(tile, device=images.device)
    rows = (corners[..., 0, None] + steps)[..., :, None]  # (B, 9, t, 1)
    columns = (corners[..., 1, None] + steps)[..., None, :]  # (B, 9, 1, t)
    batch = torch.arange(len(images), device=images.device).view(-1, 1, 1, 1)
    return images.permute(0, 2, 3, 1)[batch, rows, columns].permute(0, 1, 4, 2, 3)


def normalize_tiles(tiles: Tensor) -> Tensor:
    """Normalise each channel of each tile to mean 0 and standard deviation 1 over its pixels.

    Otherwise brightness alone reveals neighbouring tiles (Noroozi and Favaro, Sec. 4.2, "low level
    statistics").

    Args:
        tiles: (..., t, t).
    """
    mean = tiles.mean(dim=(-2, -1), keepdim=True)
    std = tiles.std(dim=(-2, -1), keepdim=True, correction=0)
    return (tiles - mean) / std.clamp(min=FLAT)


def shuffle_tiles(tiles: Tensor, permutations: Tensor) -> Tensor:
    """Shuffle the tiles: position k of image b gets the tile of ``permutations[b, k]``.

    Args:
        tiles: (B, 9, ...).
        permutations: (B, 9) int64.
    """
    batch = torch.arange(len(tiles), device=tiles.device).unsqueeze(1)
    return tiles[batch, permutations]
