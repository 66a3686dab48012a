"""Average precision: the area under precision over recall, as VOC and as scikit-learn define it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def voc_average_precision(targets: ArrayLike, scores: ArrayLike) -> float:
    """Return the average precision of VOC since 2010, which Goyal et al. (ICCV 2019) use.

    The precision at a recall is the highest one at that recall or beyond; their sum, weighted by
    the changes of recall, is the area under that curve ("all points").

    Samples of equal score are one step of the curve, as in scikit-learn, so their order does not
    matter. The reference code takes them one by one, in the order of its sort.

    Args:
        targets: (N,) true or 1 where the sample is positive, false or 0 where it is not.
        scores: (N,) the higher, the more surely positive.

    Returns:
        In (0, 1]; 1 if and only if no negative scores as high as a positive.

    Raises:
        ValueError: shapes differ, targets are neither 0 nor 1, no target is positive, or a score
            is not a number.
    """
    recall_changes, precisions = _curve(*_checked(targets, scores))
    return float(recall_changes @ _highest_from_here(precisions))


def step_average_precision(targets: ArrayLike, scores: ArrayLike) -> float:
    """Return the average precision of scikit-learn's ``average_precision_score``.

    It uses each precision as it is, so the result is at most that of the VOC definition. Arguments
    and errors are those of ``voc_average_precision``. Cross-validation calls it tens of thousands
    of times; scikit-learn's function gives the same and takes over ten times as long.
    """
    recall_changes, precisions = _curve(*_checked(targets, scores))
    return float(recall_changes @ precisions)


def average_precisions(
    objects: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the average precision of each class, without the images where it is difficult.

    Args:
        objects: (N, C) as in VOC: 1 shown, -1 not shown, 0 difficult.
        scores: (N, C) the higher, the more surely shown.

    Returns:
        (C,) by the VOC definition, and (C,) by scikit-learn's.

    Raises:
        ValueError: shapes differ, objects are not as in VOC, a class is nowhere shown, or a score
            is not a number.
    """
    objects, scores = checked_objects(objects), np.asarray(scores)
    if scores.shape != objects.shape:
        raise ValueError(
            f"Got scores of shape {scores.shape} for objects of shape {objects.shape}; "
            "give one score an image and class."
        )
    both = np.empty((2, objects.shape[1]))
    for column, (shown, score) in enumerate(zip(objects.T, scores.T, strict=True)):
        if not (shown == 1).any():
            raise ValueError(
                f"Class {column} is shown in none of {len(objects)} images, so it has no average "
                "precision; leave the class out."
            )
        sure = shown != 0
        recall_changes, precisions = _curve(*_checked(shown[sure] == 1, score[sure]))
        both[0, column] = recall_changes @ _highest_from_here(precisions)
        both[1, column] = recall_changes @ precisions
    return both[0], both[1]


def checked_objects(objects: ArrayLike) -> NDArray[np.int8]:
    """Return objects (N, C) as int8.

    Raises:
        ValueError: they are not (N, C), both at least 1, of 1 (shown), -1 (not) and 0 (difficult).
    """
    array = np.asarray(objects)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"Got objects of shape {array.shape}, expected (N, C): images by classes.")
    if not np.isin(array, (-1, 0, 1)).all():
        raise ValueError(
            "Objects must be 1 (shown), -1 (not shown) or 0 (difficult), got values from "
            f"{array.min()} to {array.max()}."
        )
    return array.astype(np.int8)


def _checked(targets: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray]:
    targets, scores = np.asarray(targets), np.asarray(scores)
    if targets.ndim != 1 or targets.shape != scores.shape:
        raise ValueError(
            f"Got targets of shape {targets.shape} and scores of shape {scores.shape}, expected "
            "(N,) twice; give one of both a sample."
        )
    positive = targets == 1
    if not (positive | (targets == 0)).all():
        raise ValueError(
            "Targets must be 0 or 1 (or false or true), got values from "
            f"{targets.min()} to {targets.max()}; compare labels with 1 first."
        )
    if not positive.any():
        raise ValueError(
            f"None of {len(targets)} targets is positive, so there is no recall; average precision "
            "needs one."
        )
    if np.isnan(scores).any():
        raise ValueError(f"{np.isnan(scores).sum()} of {len(scores)} scores are not a number.")
    return positive, scores


def _curve(
    positive: NDArray[np.bool_], scores: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Changes of recall and precisions, (T,) each, at the T different scores, highest first."""
    order = np.argsort(-scores)
    scores = scores[order]
    ends = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    found = np.cumsum(positive[order])[ends]
    return np.diff(found, prepend=0) / found[-1], found / (ends + 1)


def _highest_from_here(precisions: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum.accumulate(precisions[::-1])[::-1]
