"""Quarter turns: the right pixels, the right numbers, squares alone."""

import pytest
import torch

from odc_lightning.pretext import four_rotations


def test_each_view_is_turned_once_more_against_the_clock() -> None:
    image = torch.tensor([[1, 2], [3, 4]])
    turned = [image, [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]
    images = torch.stack([image.expand(3, 2, 2), 10 * image.expand(3, 2, 2)])
    views, target = four_rotations(images)
    assert views.shape == (2, 4, 3, 2, 2)
    assert target.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    for turn, expected in enumerate(turned):
        for channel in range(3):
            assert torch.equal(views[0, turn, channel], torch.as_tensor(expected))
            assert torch.equal(views[1, turn, channel], 10 * torch.as_tensor(expected))


def test_views_and_targets_are_in_the_order_of_the_features() -> None:
    """The network flattens (B, 4) to 4 B rows: row r has the target r."""
    images = torch.rand(3, 3, 5, 5)
    views, target = four_rotations(images)
    for row, (view, turn) in enumerate(zip(views.flatten(0, 1), target, strict=True)):
        assert torch.equal(view, torch.rot90(images[row // 4], int(turn), dims=(1, 2)))


def test_images_that_are_no_squares_are_refused() -> None:
    with pytest.raises(ValueError, match=r"4 x 6 pixels, expected squares: .*data\.image_size"):
        four_rotations(torch.zeros(2, 3, 4, 6))
