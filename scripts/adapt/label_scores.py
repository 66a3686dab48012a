"""Scores of features by labels, for some hundred images: no score depends on a training.

N is the number of images and D the width of the features. All scores are between 0 and 1.
"""

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.metrics import (
    adjusted_mutual_information,
    knn_accuracy,
    normalized_mutual_information,
)
from odc_lightning.utils.arrays import IntArray

SCORES = {
    "knn": "kNN",
    "ten_shot": "10-shot",
    "linear": "linear",
    "nmi": "NMI of K-Means",
}
FEWEST = 15  # images of a class; smaller classes are left out
SHOTS, DRAWS = 10, 20
FOLDS, REPEATS = 5, 2
KMEANS_SEEDS, AMI_SEEDS = range(10), range(5)
ALPHAS = tuple(np.logspace(-3, 2, 6).tolist())


def scored_rows(labels: IntArray) -> IntArray:
    """The rows of images in classes of at least `FEWEST` images.

    Args:
        labels: (N,) classes, 0 or larger.

    Raises:
        ValueError: there are fewer than two such classes.
    """
    counts = np.bincount(labels)
    if int((counts >= FEWEST).sum()) < 2:
        raise ValueError(
            f"classes have {counts.tolist()} images; expected at least two classes of {FEWEST}"
        )
    return np.flatnonzero(counts[labels] >= FEWEST)


def label_scores(features: Tensor, labels: IntArray) -> dict[str, float]:
    """The four scores of `SCORES`.

    Args:
        features: (N, D), of `scored_rows` only.
        labels: (N,) classes.
    """
    _, labels = np.unique(labels, return_inverse=True)
    truth = torch.from_numpy(labels)
    unit = _unit(features)
    centred = unit - unit.mean(axis=0)
    return {
        "knn": knn_accuracy(features, truth, features, truth, k=20, exclude_self=True),
        "ten_shot": float(np.mean([_few(centred, labels, rows) for rows in draws(labels)])),
        "linear": float(np.mean([_fold(centred, labels, *rows) for rows in _folds(labels)])),
        "nmi": float(
            np.mean(
                [
                    normalized_mutual_information(labels, clusters_of(unit, labels.max() + 1, seed))
                    for seed in KMEANS_SEEDS
                ]
            )
        ),
    }


def ami_of_kmeans(features: Tensor, labels: IntArray, rows: IntArray, num_clusters: int) -> float:
    """The mean AMI with the classes of clusters by K-Means, over five seeds.

    Args:
        features: (N, D) of all images, which are clustered.
        labels: (N,) classes.
        rows: the images that are compared, `scored_rows`.
        num_clusters: C.
    """
    unit = _unit(features)
    found = (clusters_of(unit, num_clusters, seed)[rows] for seed in AMI_SEEDS)
    return float(np.mean([adjusted_mutual_information(labels[rows], each) for each in found]))


def clusters_of(unit: np.ndarray, num_clusters: int, seed: int) -> IntArray:
    """Clusters (N,) of features (N, D) by scikit-learn's K-Means, from one start."""
    found: IntArray = KMeans(num_clusters, n_init=1, random_state=seed).fit_predict(unit)
    return found


def draws(labels: IntArray) -> Iterator[IntArray]:
    """Twenty times, the rows of ten images of each class."""
    members = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        yield np.concatenate([rng.permutation(each)[:SHOTS] for each in members])


def _few(centred: np.ndarray, labels: IntArray, rows: IntArray) -> float:
    """The accuracy on all other images of a classifier trained on some rows."""
    others = np.setdiff1d(np.arange(len(labels)), rows)
    model = RidgeClassifier(alpha=0.1).fit(centred[rows], labels[rows])
    return float(model.score(centred[others], labels[others]))


def _folds(labels: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """The rows for training and for testing, of five folds in two repetitions."""
    for seed in range(REPEATS):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
        yield from folds.split(labels, labels)


def _fold(centred: np.ndarray, labels: IntArray, train: IntArray, test: IntArray) -> float:
    """The accuracy of one fold; the ridge is chosen on its training part, leaving one out."""
    model = RidgeClassifierCV(ALPHAS).fit(centred[train], labels[train])
    return float(model.score(centred[test], labels[test]))


def _unit(features: Tensor) -> np.ndarray:
    found: np.ndarray = normalize(features.float(), dim=1).numpy()
    return found
