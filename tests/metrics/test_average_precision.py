"""Average precision against sums done by hand, a slow walk through the ranking, scikit-learn."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from odc_lightning.metrics.average_precision import (
    average_precisions,
    checked_objects,
    step_average_precision,
    voc_average_precision,
)

# Few different scores, so that ties are common.
RANKINGS = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=1, max_size=30)


def voc_by_walking(targets: list[int]) -> float:
    """The area for targets that are in the order of their scores, none of them equal."""
    precisions, recalls = [], []
    hits = 0
    for position, target in enumerate(targets, start=1):
        hits += target
        precisions.append(hits / position)
        recalls.append(hits / sum(targets))
    area, last = 0.0, 0.0
    for index, recall in enumerate(recalls):
        area += (recall - last) * max(precisions[index:])
        last = recall
    return area


@pytest.mark.parametrize(
    ("targets", "scores", "voc", "sklearn"),
    [
        # precisions of the positives: 1/1, 2/3, 3/6; none is higher further on
        ([1, 0, 1, 0, 0, 1], [6, 5, 4, 3, 2, 1], (1 + 2 / 3 + 1 / 2) / 3, (1 + 2 / 3 + 1 / 2) / 3),
        # 1/2 and 2/3, and VOC takes the higher one for both
        ([0, 1, 1], [3, 2, 1], 2 / 3, (1 / 2 + 2 / 3) / 2),
        # 1/1, 2/4, 3/5, 4/7: VOC has 3/5 for the second, too
        (
            [1, 0, 0, 1, 1, 0, 1],
            [7, 6, 5, 4, 3, 2, 1],
            (1 + 3 / 5 + 3 / 5 + 4 / 7) / 4,
            (1 + 2 / 4 + 3 / 5 + 4 / 7) / 4,
        ),
        # all at once: the share of positives
        ([1, 0, 0, 1], [5, 5, 5, 5], 1 / 2, 1 / 2),
        # 0/1, then two samples in one step, of which one is positive: 1/3; then 2/4
        ([0, 1, 0, 1], [3, 2, 2, 1], 1 / 2, (1 / 3 + 1 / 2) / 2),
        # the score's size does not matter, nor that of what comes after the last positive
        ([1, 1, 0], [0.3, 0.2, 0.1], 1, 1),
        ([True], [-7.5], 1, 1),
    ],
)
def test_by_hand(targets: list[int], scores: list[float], voc: float, sklearn: float) -> None:
    assert voc_average_precision(targets, scores) == pytest.approx(voc)
    assert step_average_precision(targets, scores) == pytest.approx(sklearn)


@given(targets=st.lists(st.integers(0, 1), min_size=1, max_size=40))
def test_voc_is_the_slow_walk(targets: list[int]) -> None:
    assume(any(targets))
    scores = -np.arange(len(targets))
    assert voc_average_precision(targets, scores) == pytest.approx(voc_by_walking(targets))


@given(ranking=RANKINGS)
def test_steps_are_those_of_scikit_learn(ranking: list[tuple[bool, int]]) -> None:
    targets, scores = map(np.array, zip(*ranking, strict=True))
    assume(targets.any())
    expected = average_precision_score(targets, scores)
    assert step_average_precision(targets, scores) == pytest.approx(expected, abs=1e-12)


@given(ranking=RANKINGS, seed=st.integers(0, 99))
def test_only_the_order_of_scores_matters(ranking: list[tuple[bool, int]], seed: int) -> None:
    targets, scores = map(np.array, zip(*ranking, strict=True))
    assume(targets.any())
    shuffled = np.random.default_rng(seed).permutation(len(targets))
    for precision in (voc_average_precision, step_average_precision):
        value = precision(targets, scores)
        assert 0 < value <= 1
        assert precision(targets[shuffled], scores[shuffled]) == value
        assert precision(targets, np.exp(scores.astype(np.float32))) == value
    assert step_average_precision(targets, scores) <= voc_average_precision(targets, scores) + 1e-12


@given(ranking=RANKINGS)
def test_it_is_one_only_if_all_positives_come_first(ranking: list[tuple[bool, int]]) -> None:
    targets, scores = map(np.array, zip(*ranking, strict=True))
    assume(targets.any())
    first = targets.all() or scores[targets].min() > scores[~targets].max()
    assert (voc_average_precision(targets, scores) > 1 - 1e-9) == first
    assert voc_average_precision(targets, targets + 0.5) == pytest.approx(1)


@pytest.fixture
def objects() -> NDArray[np.int64]:
    """(40, 3), a fifth of it difficult."""
    return np.random.default_rng(0).choice([1, -1, 0], size=(40, 3), p=[0.3, 0.5, 0.2])


def test_difficult_images_are_left_out_class_by_class(objects: NDArray[np.int64]) -> None:
    scores = np.random.default_rng(1).integers(9, size=objects.shape)
    ap, ap_sklearn = average_precisions(objects, scores)
    assert ap.shape == ap_sklearn.shape == (3,)
    assert ap.dtype == ap_sklearn.dtype == np.float64
    for column in range(3):
        sure = np.flatnonzero(objects[:, column])
        shown, score = objects[sure, column] == 1, scores[sure, column]
        assert ap[column] == voc_average_precision(shown, score)
        assert ap_sklearn[column] == pytest.approx(average_precision_score(shown, score))


def test_scores_of_difficult_images_do_not_matter(objects: NDArray[np.int64]) -> None:
    scores = np.random.default_rng(1).random(objects.shape)
    before = average_precisions(objects, scores)
    scores[objects == 0] = np.nan
    assert np.array_equal(before, average_precisions(objects, scores))


@pytest.mark.parametrize(
    ("targets", "scores", "message"),
    [
        ([0, 0], [1.0, 2.0], "None of 2 targets is positive"),
        ([], [], "None of 0 targets"),
        ([1, -1], [1.0, 2.0], "from -1 to 1"),
        ([1, 0], [1.0], r"\(N,\) twice"),
        ([[1]], [[1.0]], r"\(N,\) twice"),
        ([1, 0], [1.0, np.nan], "1 of 2 scores are not a number"),
    ],
)
def test_bad_input_is_an_error(targets: list[int], scores: list[float], message: str) -> None:
    for precision in (voc_average_precision, step_average_precision):
        with pytest.raises(ValueError, match=message):
            precision(targets, scores)


def test_a_class_that_is_nowhere_shown_is_named() -> None:
    with pytest.raises(ValueError, match="Class 1 is shown in none of 2 images"):
        average_precisions([[1, 0], [1, -1]], np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("objects", "message"),
    [([1, -1], "images by classes"), ([[]], "images by classes"), ([[1, 2]], "from 1 to 2")],
)
def test_objects_are_as_in_voc(objects: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_objects(objects)


def test_each_image_and_class_needs_a_score(objects: NDArray[np.int64]) -> None:
    with pytest.raises(ValueError, match="one score an image and class"):
        average_precisions(objects, np.zeros((40, 2)))
