"""Random subsets: the numbers asked for, the same draw for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odc_lightning.data import ArraySource, take_images, take_share, take_subset
from odc_lightning.data.subset import same_classes, subset_of


@given(
    sizes=st.lists(st.integers(3, 9), min_size=2, max_size=6),
    num_unlabelled=st.integers(0, 5),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_every_drawn_class_has_its_number(
    sizes: list[int], num_unlabelled: int, seed: int, data: st.DataObject
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.concatenate([labels, np.full(num_unlabelled, -1)])
    labels = np.random.default_rng(seed).permutation(labels)
    num_classes = data.draw(st.integers(1, len(sizes)))
    indices = take_subset(labels, num_classes, 3, seed)
    drawn, counts = np.unique(labels[indices], return_counts=True)
    assert len(drawn) == num_classes
    assert counts.tolist() == [3] * num_classes
    assert -1 not in drawn
    assert (np.diff(indices) > 0).all()
    np.testing.assert_array_equal(indices, take_subset(labels, num_classes, 3, seed))


def test_one_limit_alone() -> None:
    labels = np.repeat(np.arange(10), 20)
    assert len(take_subset(labels, num_classes=3)) == 60
    assert len(take_subset(labels, images_per_class=5)) == 50


def test_seeds_draw_differently() -> None:
    labels = np.repeat(np.arange(50), 20)
    draws = {tuple(np.unique(labels[take_subset(labels, 5, 5, seed)])) for seed in range(5)}
    assert len(draws) == 5


def test_more_than_there_is() -> None:
    labels = np.array([0, 0, 1, 1, 1, -1])
    with pytest.raises(ValueError, match="num_classes=3, but there are 2"):
        take_subset(labels, num_classes=3)
    with pytest.raises(ValueError, match="images_per_class=3, but there are 2 images in class 0"):
        take_subset(labels, images_per_class=3)
    with pytest.raises(ValueError, match="num_images=7, but there are 6"):
        take_images(6, 7)
    with pytest.raises(ValueError, match="no labelled images"):
        take_subset(np.full(4, -1), images_per_class=1)


def test_number_of_images_needs_no_labels() -> None:
    indices = take_images(100, 10, seed=3)
    assert len(set(indices.tolist())) == 10
    assert (np.diff(indices) > 0).all()
    np.testing.assert_array_equal(indices, take_images(100, 10, seed=3))


def toy_source(labels: list[int] | None) -> ArraySource:
    images = np.zeros((6, 2, 2), np.uint8)
    return ArraySource(images, "toy", None if labels is None else np.array(labels))


def test_subset_of_a_source() -> None:
    assert len(subset_of(toy_source(None), num_images=4)) == 4
    assert len(subset_of(toy_source([0, 0, 0, 1, 1, 1]), num_classes=1)) == 3
    with pytest.raises(ValueError, match="needs labels"):
        subset_of(toy_source(None), num_classes=1)
    with pytest.raises(ValueError, match="expected either num_images, or num_classes"):
        subset_of(toy_source([0, 0, 0, 1, 1, 1]), num_classes=1, num_images=2)
    with pytest.raises(ValueError, match="expected either num_images, or num_classes"):
        subset_of(toy_source(None))


def test_validation_keeps_to_the_same_classes() -> None:
    drawn = subset_of(toy_source([0, 0, 1, 1, 2, 2]), num_classes=2)
    assert drawn.labels is not None
    val = same_classes(toy_source([2, 1, 0, 2, 1, 0]), drawn)
    assert val.labels is not None
    assert set(val.labels) == set(drawn.labels)
    assert len(val) == 4
    unlabelled = toy_source(None)
    assert same_classes(unlabelled, drawn) is unlabelled


SHARED = np.repeat(np.arange(4), [100, 50, 10, 1])


def test_a_share_of_each_class_and_at_least_one() -> None:
    drawn = take_share(SHARED, 0.1, seed=0)
    assert np.bincount(SHARED[drawn]).tolist() == [10, 5, 1, 1]
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert take_share(SHARED, 0.1, seed=0).tolist() == drawn.tolist()
    assert take_share(SHARED, 0.1, seed=1).tolist() != drawn.tolist()
    assert take_share(SHARED, 1, seed=0).tolist() == list(range(161))


@pytest.mark.parametrize("share", [0, -0.1, 1.5])
def test_no_share(share: float) -> None:
    with pytest.raises(ValueError, match=f"a share of {share} of the labels"):
        take_share(SHARED, share, seed=0)
