"""A linear classifier that gives images the names of images like them, where it is sure."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from threadpoolctl import threadpool_limits

from odc_lightning.metrics.neighbours import nearest_neighbours
from odc_lightning.naming.named_images import UNNAMED
from odc_lightning.utils.arrays import FloatArray, IntArray

STRENGTHS = (1.0, 10.0, 100.0, 1000.0)  # of the fit: the inverse weight of its L2 penalty
FOLDS = 5
MOST = 5_000  # named images that are fitted; more change little and take minutes
USUAL = 0.95  # the quantile of distances between named images that is still near


class Judged(NamedTuple):
    """What the classifier says of B images.

    Attributes:
        labels: (B,) its guess, a label of the named images.
        probabilities: (B,) of the guess.
        distances: (B,) distance to the nearest image of the guessed name, divided by the 95 %
            quantile of the same distance among named images. Above 1, an image is unlike all of
            that name.
    """

    labels: IntArray
    probabilities: NDArray[np.float64]
    distances: FloatArray

    def certainty(self) -> NDArray[np.float64]:
        """(B,) the probability, divided by the distance where that is above 1."""
        return self.probabilities / np.maximum(self.distances, 1)


class NameClassifier:
    """Multinomial logistic regression on features of unit length.

    Attributes:
        agreement: share of the named images that get their own name in cross-validation, of names
            with two and more images; None with fewer than two such names.
    """

    def __init__(self, features: FloatArray, labels: IntArray, seed: int = 0) -> None:
        """Fit.

        The strength of the fit is that of the least log loss in cross-validation, so that the
        probabilities can be trusted.

        Args:
            features: (M, D) of named images, of unit length.
            labels: (M,) of at least two kinds.
            seed: of the choice of images and of the folds.

        Raises:
            ValueError: there are fewer than two labels.
        """
        kinds = np.unique(labels)
        if len(kinds) < 2:
            raise ValueError(
                f"a classifier needs images of two names, and {len(kinds)} is given; name images "
                "of another kind, or mark a cluster as rubbish"
            )
        chosen = _some_of_each(labels, MOST, seed)
        self._bank = torch.from_numpy(features[chosen])
        fitted, labels = features[chosen], labels[chosen]
        self.agreement: float | None = None
        strength = STRENGTHS[1]
        kinds, counts = np.unique(labels, return_counts=True)
        repeated = np.isin(labels, kinds[counts > 1])
        if (counts > 1).sum() > 1:
            folds = min(FOLDS, int(counts[counts > 1].min()))
            strength, self.agreement = _best_strength(
                fitted[repeated], labels[repeated], folds, seed
            )
        self._model = _fit(fitted, labels, strength)
        self._labels = labels
        self._usual = self._usual_distance()

    def judge(self, features: FloatArray, refused: IntArray | None = None) -> Judged:
        """Guess the names of images.

        Args:
            features: (B, D) of unit length.
            refused: (B,) label that an image does not have; `UNNAMED` for none. The probabilities
                of the others stay what they are, so a second choice is rarely a sure one.
        """
        if len(features) == 0:
            nothing = np.zeros(0)
            return Judged(nothing.astype(np.int64), nothing, nothing.astype(np.float32))
        probabilities: NDArray[np.float64] = self._model.predict_proba(features)
        kinds = self._model.classes_
        if refused is not None:
            probabilities[(refused[:, None] == kinds) & (refused[:, None] != UNNAMED)] = 0
        guesses: IntArray = kinds[probabilities.argmax(axis=1)]
        distances = np.empty(len(guesses), np.float32)
        for kind in np.unique(guesses):
            own = guesses == kind
            bank = self._bank[torch.from_numpy(self._labels == kind)]
            nearest, _ = nearest_neighbours(bank, torch.from_numpy(features[own]), 1)
            distances[own] = _distance(nearest)
        return Judged(guesses, probabilities.max(axis=1), distances / np.float32(self._usual))

    def _usual_distance(self) -> float:
        """The 95 % quantile of the distances of named images to the nearest of their name."""
        found: list[FloatArray] = []
        for kind in np.unique(self._labels):
            bank = self._bank[torch.from_numpy(self._labels == kind)]
            if len(bank) > 1:
                nearest, _ = nearest_neighbours(bank, bank, 1, exclude_self=True)
                found.append(_distance(nearest))
        if not found:  # each name has one image: nothing tells what is near
            return float("inf")
        return max(float(np.quantile(np.concatenate(found), USUAL)), 1e-6)


def _some_of_each(labels: IntArray, most: int, seed: int) -> IntArray:
    """Places of at most about ``most`` images, as many of each label as there are."""
    if len(labels) <= most:
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    kinds = [rng.permutation(np.flatnonzero(labels == kind)) for kind in np.unique(labels)]
    share = most // len(kinds)
    return np.sort(np.concatenate([rows[: max(2, share)] for rows in kinds]))


def _fit(features: FloatArray, labels: IntArray, strength: float) -> LogisticRegression:
    with _quiet_and_alone():
        return LogisticRegression(C=strength, max_iter=500, tol=1e-3).fit(features, labels)


@contextmanager
def _quiet_and_alone() -> Iterator[None]:
    """Fit on one thread: several can take 60 times as long on a busy machine."""
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _best_strength(
    features: FloatArray, labels: IntArray, folds: int, seed: int
) -> tuple[float, float]:
    """The strength of the least log loss on images left out, and its share of right guesses."""
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    kinds, own = np.unique(labels, return_inverse=True)
    found: list[tuple[float, float, float]] = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=500, tol=1e-3)
        with _quiet_and_alone():
            guesses = cross_val_predict(model, features, labels, cv=split, method="predict_proba")
        loss = -np.log(guesses[np.arange(len(own)), own].clip(1e-12)).mean()
        right = (kinds[guesses.argmax(axis=1)] == labels).mean()
        found.append((float(loss), strength, float(right)))
    _, strength, right = min(found)
    return strength, right


def _distance(similarities: torch.Tensor) -> FloatArray:
    """L2 distances (B,) of unit vectors with these cosines (B, 1)."""
    distances: FloatArray = (2 - 2 * similarities[:, 0]).clamp(min=0).sqrt().numpy()
    return distances
