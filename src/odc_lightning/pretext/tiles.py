"""Nine tiles of an image, and what keeps a network from solving the puzzle by their edges."""

import torch
from torch import Tensor

GRID = 3
NUM_TILES = GRID * GRID
# A tile is 64 of the 85 pixels of its cell, as for images of 255 pixels (Noroozi and Favaro).
TILE, CELL = 64, 85
SMALLEST_IMAGE = 30  # its tiles have 8 pixels, as few as the small network takes
# A tile of one colour stays flat: its noise is not blown up.
FLAT = 1e-2


def tile_sizes(image_size: int) -> tuple[int, int]:
    """Sides of a cell and of a tile in pixels, for square images of a side.

    Raises:
        ValueError: the tiles would be smaller than 8 pixels.
    """
    if image_size < SMALLEST_IMAGE:
        raise ValueError(
            f"images of {image_size} pixels are too small for nine tiles, expected at least "
            f"{SMALLEST_IMAGE}; set data.image_size"
        )
    cell = image_size // GRID
    return cell, round(cell * TILE / CELL)


def cut_tiles(images: Tensor, offsets: Tensor) -> Tensor:
    """Cut one tile out of each cell of a 3 x 3 grid.

    Neighbouring tiles have a gap of random width between them, so that lines that run on across
    an edge do not give the order away.

    Args:
        images: (B, 3, S, S).
        offsets: (B, 9, 2) int64, top and left of each tile in its cell, each from 0 to the side
            of the cell less that of the tile.

    Returns:
        (B, 9, 3, t, t), row by row of the grid.

    Raises:
        ValueError: the images are not square, or too small.
    """
    height, width = images.shape[-2:]
    if height != width:
        raise ValueError(
            f"images have {height} x {width} pixels, expected squares; crop to them (config key "
            "data.image_size)"
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
    """Bring each colour of each tile to mean 0 and standard deviation 1 over its own pixels.

    Else neighbours are found by their brightness alone (paper Sec. 4.2, "low level statistics").

    Args:
        tiles: (..., t, t).
    """
    mean = tiles.mean(dim=(-2, -1), keepdim=True)
    std = tiles.std(dim=(-2, -1), keepdim=True, correction=0)
    return (tiles - mean) / std.clamp(min=FLAT)


def shuffle_tiles(tiles: Tensor, permutations: Tensor) -> Tensor:
    """Put the tile that stood at place ``permutations[b, k]`` of image b at place k.

    Args:
        tiles: (B, 9, ...).
        permutations: (B, 9) int64.
    """
    batch = torch.arange(len(tiles), device=tiles.device).unsqueeze(1)
    return tiles[batch, permutations]
