"""Refused before training, with advice that then holds."""

import pytest
import torch

from odc_lightning.data.checks import check_batches, check_class_names, check_view


def test_batch_must_divide_by_the_ranks() -> None:
    check_batches(100, 12, 3, drop_last=True)
    with pytest.raises(ValueError, match=r"data\.batch_size=10 .* multiple of the 3 ranks"):
        check_batches(100, 10, 3, drop_last=True)


def test_no_batch_at_all() -> None:
    with pytest.raises(
        ValueError, match=r"100 images do not fill a batch.*Try data\.batch_size=64"
    ):
        check_batches(100, 128, 1, drop_last=True)
    check_batches(100, 64, 1, drop_last=True)
    check_batches(100, 128, 1, drop_last=False)
    with pytest.raises(ValueError, match=r"Try data\.batch_size=96"):
        check_batches(100, 129, 3, drop_last=True)
    with pytest.raises(ValueError, match="no images"):
        check_batches(0, 128, 1, drop_last=False)


@pytest.mark.parametrize(("num_samples", "world_size"), [(129, 1), (257, 2), (258, 2)])
def test_last_batch_of_one(num_samples: int, world_size: int) -> None:
    batch_size = 128 * world_size
    check_batches(num_samples, batch_size, world_size, drop_last=True)
    with pytest.raises(
        ValueError, match=r"last batch has one image per rank.* data\.drop_last=true"
    ):
        check_batches(num_samples, batch_size, world_size, drop_last=False)


def test_batches_of_one() -> None:
    with pytest.raises(ValueError, match=r"gives each rank one image"):
        check_batches(100, 4, 4, drop_last=True)


def test_view() -> None:
    check_view(torch.zeros(3, 8, 8), "train_transform", 8)
    for bad in (torch.zeros(3, 8, 9), torch.zeros(1, 8, 8), torch.zeros(3, 8, 8).byte(), "image"):
        with pytest.raises(ValueError, match=r"data\.train_transform gives"):
            check_view(bad, "train_transform", 8)  # type: ignore[arg-type]


def test_both_splits_must_number_the_same_classes() -> None:
    check_class_names(["cat", "dog"], ["cat", "dog"])
    check_class_names(["cat", "dog"], None)
    check_class_names(None, ["cat"])
    with pytest.raises(ValueError, match=r"only in train: \['ant'\], only in val: \['emu'\]"):
        check_class_names(["ant", "cat"], ["cat", "emu"])
