"""Tiles come from their cells, are normal, and stand where the permutation says."""

import pytest
import torch

from odc_lightning.pretext import cut_tiles, normalize_tiles, shuffle_tiles, tile_sizes


def test_sizes_of_the_papers_image() -> None:
    assert tile_sizes(255) == (85, 64)
    assert tile_sizes(48) == (16, 12)
    assert tile_sizes(30) == (10, 8)
    with pytest.raises(
        ValueError, match=r"images of 29 pixels .*at least 30; set data\.image_size"
    ):
        tile_sizes(29)


def test_each_tile_is_cut_at_its_place_in_its_cell() -> None:
    torch.manual_seed(0)
    images = torch.rand(4, 3, 50, 50)
    cell, tile = tile_sizes(50)
    offsets = torch.randint(cell - tile + 1, (4, 9, 2))
    offsets[0], offsets[1] = 0, cell - tile
    tiles = cut_tiles(images, offsets)
    assert tiles.shape == (4, 9, 3, tile, tile)
    for b in range(4):
        for k in range(9):
            top = k // 3 * cell + int(offsets[b, k, 0])
            left = k % 3 * cell + int(offsets[b, k, 1])
            expected = images[b, :, top : top + tile, left : left + tile]
            assert torch.equal(tiles[b, k], expected)


def test_images_that_are_no_squares_are_refused() -> None:
    with pytest.raises(ValueError, match="48 x 60 pixels, expected squares"):
        cut_tiles(torch.zeros(1, 3, 48, 60), torch.zeros(1, 9, 2, dtype=torch.int64))


def test_tiles_are_normal_each_by_itself_and_flat_ones_stay_flat() -> None:
    torch.manual_seed(0)
    tiles = 5 + torch.rand(2, 9, 3, 12, 12) * torch.rand(2, 9, 3, 1, 1).add(0.1)
    tiles[0, 4] = 7
    normal = normalize_tiles(tiles)
    assert (normal[0, 4] == 0).all()
    torch.testing.assert_close(normal.mean((-2, -1)), torch.zeros(2, 9, 3), atol=1e-4, rtol=0)
    std = normal.std((-2, -1), correction=0)
    std[0, 4] = 1
    torch.testing.assert_close(std, torch.ones(2, 9, 3), atol=1e-3, rtol=0)


def test_shuffling_puts_each_tile_where_the_permutation_has_its_number() -> None:
    tiles = torch.arange(18).view(2, 9)
    permutations = torch.tensor([[8, 0, 1, 2, 3, 4, 5, 6, 7], [1, 0, 2, 3, 4, 5, 6, 8, 7]])
    shuffled = shuffle_tiles(tiles, permutations)
    assert shuffled[0].tolist() == [8, 0, 1, 2, 3, 4, 5, 6, 7]
    assert shuffled[1].tolist() == [10, 9, 11, 12, 13, 14, 15, 17, 16]
