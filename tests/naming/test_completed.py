"""What the classifier adds, and what it leaves to a person."""

import numpy as np
import pytest

from odc_lightning.naming.classifier import MOST, NameClassifier, _some_of_each
from odc_lightning.naming.completed import Completed, complete
from odc_lightning.naming.named_images import RUBBISH, UNNAMED, NamedImages, Source
from odc_lightning.utils.arrays import FloatArray, IntArray

KINDS, EACH, WIDTH = 4, 30, 16
TRUTH = np.repeat(np.arange(KINDS), EACH)
NO_PAIRS = np.zeros((0, 2), np.int64)


def features(noise: float = 0.3, seed: int = 0) -> FloatArray:
    """Directions around a centre for each kind."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(WIDTH, KINDS)))[0].T
    rows = centres[TRUTH] + noise * rng.normal(size=(len(TRUTH), WIDTH)) / np.sqrt(WIDTH)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def named(known: dict[int, int], names: int = KINDS, **changes: IntArray) -> NamedImages:
    """Images of which some have a label from a person."""
    labels = np.full(len(TRUTH), UNNAMED)
    labels[list(known)] = list(known.values())
    sources = np.where(labels == UNNAMED, Source.NOBODY, Source.PERSON)
    refused = np.full(len(TRUTH), UNNAMED)
    parts = {"refused": refused, "together": NO_PAIRS, "apart": NO_PAIRS} | changes
    return NamedImages([f"kind {k}" for k in range(names)], labels, sources, **parts, unknown=[])


def some(per_kind: int, kinds: int = KINDS) -> dict[int, int]:
    rows = [kind * EACH + place for kind in range(kinds) for place in range(per_kind)]
    return {row: int(TRUTH[row]) for row in rows}


def completed(images: NamedImages, sure: float = 0.9, noise: float = 0.3) -> Completed:
    return complete(images, features(noise), np.arange(len(TRUTH)), sure)


def test_images_like_the_named_ones_get_their_names() -> None:
    result = completed(named(some(5)))
    assert (result.named.labels == TRUTH).mean() > 0.9
    classified = result.named.sources == Source.CLASSIFIER
    assert (result.named.labels[classified] == TRUTH[classified]).all()
    assert (result.probabilities[classified] >= 0.9).all()
    assert np.isnan(result.probabilities[result.named.sources == Source.PERSON]).all()
    assert result.classifier is not None
    assert result.classifier.agreement == 1.0


def test_images_of_a_kind_without_a_name_keep_none() -> None:
    result = completed(named(some(5, kinds=3), names=3))
    assert (result.named.labels[TRUTH == 3] == UNNAMED).all()
    assert set(TRUTH[result.to_name]) == {3}  # they are what a person should look at
    certainty = result.probabilities[result.to_name]
    assert (certainty < 1).all()


def test_the_least_certain_come_first() -> None:
    result = completed(named(some(2)), sure=1.0, noise=1.0)
    assert len(result.to_name) == len(TRUTH) - 2 * KINDS
    assert (result.named.labels[result.to_name] == UNNAMED).all()
    assert result.classifier is not None
    judged = result.classifier.judge(features(1.0)[result.to_name])
    assert (np.diff(judged.certainty()) >= 0).all()


def test_rubbish_is_learnt_as_a_name() -> None:
    known = some(5, kinds=2) | dict.fromkeys(range(2 * EACH, 2 * EACH + 5), RUBBISH)
    result = completed(named(known, names=2))
    assert (result.named.labels[TRUTH == 2] == RUBBISH).mean() > 0.9


def test_a_refused_name_is_not_given() -> None:
    refused = np.full(len(TRUTH), UNNAMED)
    refused[10] = 0
    result = completed(named(some(5), refused=refused))
    assert result.named.labels[9] == 0
    assert result.named.labels[10] == UNNAMED
    assert result.guesses[10] not in (0, UNNAMED)
    assert result.probabilities[10] < 0.1  # all other names are unlikely
    assert 10 in result.to_name


def test_pairs_hold_for_guesses() -> None:
    pairs = np.array([[10, 70]])  # of kinds 0 and 2
    together = completed(named(some(5), together=pairs))
    assert together.named.labels[10] == together.named.labels[70]
    refused = np.full(len(TRUTH), UNNAMED)
    refused[70] = 0  # so the name of image 10 cannot be that of both
    neither = completed(named(some(5), together=pairs, refused=refused))
    assert (neither.named.labels[[10, 70]] == UNNAMED).all() or (
        neither.named.labels[[10, 70]] == TRUTH[70]
    ).all()
    pairs = np.array([[10, 11]])  # both of kind 0
    apart = completed(named(some(5), apart=pairs))
    assert sorted(apart.named.labels[[10, 11]].tolist()) == [UNNAMED, 0]
    pairs = np.array([[0, 11]])  # the first has its name from a person
    apart = completed(named(some(5), apart=pairs))
    assert apart.named.labels[[0, 11]].tolist() == [0, UNNAMED]


def test_one_image_of_each_name_tells_nothing_about_what_is_near() -> None:
    result = completed(named(some(1)), sure=0.0)
    assert (result.named.labels != UNNAMED).all()


def test_one_name_needs_no_classifier() -> None:
    result = completed(named(some(5, kinds=1), names=1))
    assert result.classifier is None
    assert (result.guesses == UNNAMED).all()
    assert len(result.to_name) == 0
    with pytest.raises(ValueError, match="needs images of two names, and 1 is given"):
        NameClassifier(features()[:5], np.zeros(5, np.int64))


def test_images_that_cannot_be_read_keep_what_was_said() -> None:
    readable = np.arange(1, len(TRUTH) - 1)
    result = complete(named(some(5)), features()[readable], readable, 0.9)
    assert result.named.labels[0] == 0
    assert result.named.labels[-1] == UNNAMED
    assert np.isnan(result.probabilities[-1])
    assert len(TRUTH) - 1 not in result.to_name


def test_a_name_with_one_image_is_left_out_of_cross_validation() -> None:
    lone = completed(named(some(1))).classifier
    assert lone is not None
    assert lone.agreement is None
    result = completed(named(some(5, kinds=3) | {3 * EACH: 3}))
    assert result.classifier is not None
    assert result.classifier.agreement == 1.0
    assert (result.named.labels[TRUTH < 3] == TRUTH[TRUTH < 3]).mean() > 0.8


def test_many_images_are_thinned_by_name() -> None:
    labels = np.array([0] * (3 * MOST) + [1] * 40)
    chosen = _some_of_each(labels, MOST, 0)
    counts = np.bincount(labels[chosen])
    assert counts.tolist() == [MOST // 2, 40]
    assert (np.diff(chosen) > 0).all()
