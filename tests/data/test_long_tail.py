"""Long tails: the sizes that were worked out by hand, and the images that are drawn for them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odc_lightning.data import ArraySource, take_long_tail
from odc_lightning.data.long_tail import deal_counts, long_tail_counts
from odc_lightning.data.subset import subset_of


def test_counts_by_hand() -> None:
    # r = 64, K = 4: a step is a quarter.
    assert long_tail_counts(4, 64, largest=640).tolist() == [640, 160, 40, 10]
    # 85 = 64 + 16 + 4 + 1 shares.
    assert long_tail_counts(4, 64, total=850).tolist() == [640, 160, 40, 10]
    # 852: 641.5, 160.4, 40.1, 10.02; the one that rounding down leaves goes to the first.
    assert long_tail_counts(4, 64, total=852).tolist() == [642, 160, 40, 10]
    assert long_tail_counts(3, 4, largest=100).tolist() == [100, 50, 25]
    assert long_tail_counts(5, 1, total=50).tolist() == [10] * 5
    assert long_tail_counts(3, 1, total=10).tolist() == [4, 3, 3]


@given(num_classes=st.integers(2, 40), imbalance=st.floats(1, 64), per_class=st.integers(300, 2000))
def test_the_total_and_the_ratio_are_what_was_asked(
    num_classes: int, imbalance: float, per_class: int
) -> None:
    total = num_classes * per_class
    counts = long_tail_counts(num_classes, imbalance, total=total)
    assert counts.sum() == total
    assert (np.diff(counts) <= 0).all()
    assert counts[0] / counts[-1] == pytest.approx(imbalance, rel=0.1)


def test_the_drawn_images() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(6), 700))
    labels[::50] = -1
    drawn = take_long_tail(labels, 64, num_classes=4, images_per_class=640, seed=3)
    classes, counts = np.unique(labels[drawn], return_counts=True)
    assert sorted(counts.tolist()) == [10, 40, 160, 640]
    assert -1 not in classes
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(drawn, take_long_tail(labels, 64, 4, 640, seed=3))


def test_which_class_is_large_is_drawn_by_the_seed() -> None:
    labels = np.repeat(np.arange(8), 100)
    largest = {
        int(np.bincount(labels[take_long_tail(labels, 10, images_per_class=100, seed=s)]).argmax())
        for s in range(20)
    }
    assert len(largest) > 3


def test_small_classes_get_small_counts() -> None:
    """Only class 2 holds the largest count, whatever the order drawn."""
    available = {0: 30, 1: 30, 2: 100}
    for seed in range(10):
        dealt = deal_counts(np.array([90, 30, 10]), available, np.random.default_rng(seed))
        assert dealt[2] == 90
        assert sorted(dealt.values()) == [10, 30, 90]


def test_what_cannot_be_drawn() -> None:
    labels = np.repeat(np.arange(3), [50, 20, 20])
    with pytest.raises(
        ValueError, match=r"2 classes of at least 35 images.*remaining class has 20"
    ):
        take_long_tail(labels, 2, images_per_class=50)
    with pytest.raises(ValueError, match=r"imbalance=0\.5; expected 1 .* or more"):
        take_long_tail(labels, 0.5, images_per_class=10)
    with pytest.raises(ValueError, match="imbalance=steep; expected 1"):
        take_long_tail(labels, "steep", images_per_class=10)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="smallest of 3 classes would be empty"):
        take_long_tail(labels, 64, images_per_class=20)
    with pytest.raises(ValueError, match="for 1 class; expected two classes"):
        take_long_tail(labels, 2, num_classes=1, images_per_class=20)
    with pytest.raises(ValueError, match="num_classes=4, but there are 3"):
        take_long_tail(labels, 2, num_classes=4, images_per_class=20)
    for both in ({}, {"images_per_class": 20, "num_images": 30}):
        with pytest.raises(ValueError, match="give one of the two"):
            take_long_tail(labels, 2, **both)


def test_of_a_source() -> None:
    labels = np.repeat(np.arange(2), 8)
    source = ArraySource(np.zeros((16, 2, 2), np.uint8), "toy", labels)
    assert len(subset_of(source, num_images=10, imbalance=4.0)) == 10
    assert len(subset_of(source, images_per_class=8, imbalance=4.0)) == 8 + 2
    unlabelled = ArraySource(np.zeros((16, 2, 2), np.uint8), "toy", None)
    with pytest.raises(ValueError, match="needs labels"):
        subset_of(unlabelled, num_images=10, imbalance=4.0)
