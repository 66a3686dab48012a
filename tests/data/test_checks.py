"""Refused before training, with advice that then holds."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from odc_lightning.data import check_num_clusters
from odc_lightning.data.checks import check_batches, check_view


def test_the_papers_numbers_pass() -> None:
    check_num_clusters(1_281_167, 10_000, 20)
    check_num_clusters(10, 2, 0)


@pytest.mark.parametrize(
    ("num_samples", "num_clusters", "threshold"),
    [(1000, 1, 20), (1000, 0, 20), (5, 10, 0), (100, 10, 10), (1437, 10_000, 20)],
)
def test_too_few_images_a_cluster(num_samples: int, num_clusters: int, threshold: int) -> None:
    with pytest.raises(ValueError, match=f"num_clusters={num_clusters} with {num_samples} images"):
        check_num_clusters(num_samples, num_clusters, threshold)


@given(st.integers(0, 5000), st.integers(-1, 5000), st.integers(0, 50))
def test_suggested_number_is_accepted(num_samples: int, num_clusters: int, threshold: int) -> None:
    try:
        check_num_clusters(num_samples, num_clusters, threshold)
    except ValueError as error:
        suggested = re.search(r"Try algorithm\.num_clusters=(\d+)", str(error))
        if suggested is not None:
            check_num_clusters(num_samples, int(suggested[1]), threshold)
        else:
            assert num_samples < 2 * (threshold + 1)


def test_suggestion_follows_the_paper() -> None:
    with pytest.raises(ValueError, match=r"at most 68\. Try algorithm\.num_clusters=11 "):
        check_num_clusters(1437, 100, 20)


def test_batch_must_divide_by_the_ranks() -> None:
    check_batches(100, 12, 3, drop_last=True)
    with pytest.raises(ValueError, match=r"data\.batch_size=10 .* multiple of the 3 ranks"):
        check_batches(100, 10, 3, drop_last=True)


def test_no_batch_at_all() -> None:
    with pytest.raises(ValueError, match=r"100 images make no batch.*Try data\.batch_size=64"):
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
    with pytest.raises(ValueError, match=r"last batch leaves one .* data\.drop_last=true"):
        check_batches(num_samples, batch_size, world_size, drop_last=False)


def test_batches_of_one() -> None:
    with pytest.raises(ValueError, match="leaves one image to each"):
        check_batches(100, 4, 4, drop_last=True)


def test_view() -> None:
    check_view(torch.zeros(3, 8, 8), "train_transform", 8)
    for bad in (torch.zeros(3, 8, 9), torch.zeros(1, 8, 8), torch.zeros(3, 8, 8).byte(), "image"):
        with pytest.raises(ValueError, match=r"data\.train_transform gives"):
            check_view(bad, "train_transform", 8)  # type: ignore[arg-type]
