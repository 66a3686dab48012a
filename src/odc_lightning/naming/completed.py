"""The names of all images of a run: those that were given, and those that the classifier adds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from odc_lightning.naming.classifier import NameClassifier
from odc_lightning.naming.named_images import (
    UNNAMED,
    NamedImages,
    Source,
    groups_of_pairs,
    unit_of,
)
from odc_lightning.utils.arrays import FloatArray, IntArray


@dataclass
class Completed:
    """N images with names from a person, from clusters and from a classifier.

    Attributes:
        named: the images with all names.
        guesses: (N,) the classifier's guess; `UNNAMED` where it was not asked.
        probabilities: (N,) of the guesses; NaN where it was not asked.
        to_name: (M,) images without a name that have a guess, the least certain first.
        classifier: None with fewer than two names.
    """

    named: NamedImages
    guesses: IntArray
    probabilities: NDArray[np.float64]
    to_name: IntArray
    classifier: NameClassifier | None


def complete(
    named: NamedImages, features: FloatArray, rows: IntArray, sure: float, seed: int = 0
) -> Completed:
    """Name the images of which the classifier is sure.

    Images that belong together get the guess of which it is most certain. Of two images apart it
    names the one of which it is more certain, with its group.

    Args:
        named: N images.
        features: (M, D) of unit length, of those images that could be read.
        rows: (M,) which these are of the N.
        sure: least probability of a name.
        seed: of the classifier.
    """
    named = replace(named, labels=named.labels.copy(), sources=named.sources.copy())
    guesses = np.full(len(named.labels), UNNAMED)
    probabilities = np.full(len(guesses), np.nan)
    certainty = np.full(len(guesses), np.nan)
    classifier = fit_names(named, features, rows, seed)
    if classifier is None:
        return Completed(named, guesses, probabilities, np.zeros(0, np.int64), None)
    asked = named.labels[rows] == UNNAMED
    judged = classifier.judge(features[asked], named.refused[rows[asked]])
    asked_rows = rows[asked]
    guesses[asked_rows], probabilities[asked_rows] = judged.labels, judged.probabilities
    certainty[asked_rows] = judged.certainty()
    groups = groups_of_pairs(named.together)
    _agree(groups, named.refused, guesses, probabilities, certainty)
    is_sure = np.zeros(len(guesses), bool)
    is_sure[asked_rows] = certainty[asked_rows] >= sure
    for one, other in named.apart.tolist():
        pair = np.array([one, other])
        labels = np.where(is_sure[pair], guesses[pair], named.labels[pair])
        guessed = pair[is_sure[pair]]
        if labels[0] == labels[1] and len(guessed) > 0:
            is_sure[unit_of(int(guessed[certainty[guessed].argmin()]), groups)] = False
    named.labels[is_sure] = guesses[is_sure]
    named.sources[is_sure] = Source.CLASSIFIER
    left = asked_rows[~is_sure[asked_rows]]
    to_name = left[np.argsort(certainty[left], kind="stable")]
    return Completed(named, guesses, probabilities, to_name, classifier)


def fit_names(
    named: NamedImages, features: FloatArray, rows: IntArray, seed: int = 0
) -> NameClassifier | None:
    """A classifier of the given names, rubbish among them; None with fewer than two.

    Args:
        named, features, rows, seed: see `complete`.
    """
    labels = named.labels[rows]
    known = labels != UNNAMED
    if len(np.unique(labels[known])) < 2:
        return None
    return NameClassifier(features[known], labels[known], seed)


def _agree(
    groups: Sequence[IntArray],
    refused: IntArray,
    guesses: IntArray,
    probabilities: NDArray[np.float64],
    certainty: NDArray[np.float64],
) -> None:
    """Give images that belong together the guess of which the classifier is most certain."""
    for group in groups:
        asked = group[guesses[group] != UNNAMED]
        if len(asked) > 0:
            best = asked[certainty[asked].argmax()]
            for values in (guesses, probabilities, certainty):
                values[asked] = values[best]
            if (refused[group] == guesses[best]).any():
                certainty[asked] = 0  # one of them does not have that name
