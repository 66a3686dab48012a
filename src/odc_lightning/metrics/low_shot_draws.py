"""Draws of the few training images of a low-shot SVM, as in Goyal et al. (ICCV 2019)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from odc_lightning.metrics.average_precision import checked_objects


def one_versus_rest(labels: ArrayLike, num_classes: int) -> NDArray[np.int8]:
    """Return objects (N, C) of labels (N,): 1 in the column of the label, -1 in all others.

    Raises:
        ValueError: labels are not integers from 0 to C - 1.
    """
    labels = np.asarray(labels)
    integers = labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer)
    if not integers or not np.isin(labels, np.arange(num_classes)).all():
        raise ValueError(
            f"Labels must be (N,) integers from 0 to {num_classes - 1}, got shape {labels.shape} "
            f"of type {labels.dtype}; drop samples without a label."
        )
    objects = np.full((len(labels), num_classes), -1, np.int8)
    objects[np.arange(len(labels)), labels] = 1
    return objects


def largest_shot(objects: ArrayLike) -> int:
    """Return the largest k for which every class has k positives and (C - 1) k negatives."""
    objects = checked_objects(objects)
    others = max(1, objects.shape[1] - 1)
    return int(min((objects == 1).sum(axis=0).min(), (objects == -1).sum(axis=0).min() // others))


def draw_multi_label(
    objects: ArrayLike, shot: int, *, draw: int, seed: int = 0
) -> NDArray[np.int64]:
    """Draw the images of each class independently, as Goyal et al. do for VOC2007.

    Args:
        objects: (N, C) as in VOC; difficult images are never drawn.
        shot: k, the positives of a class.
        draw: number of the draw. The result depends on ``seed``, ``shot`` and ``draw`` only, not
            on earlier draws.
        seed: of all draws.

    Returns:
        (C, C k) indices of images, one row per class: k positives, then (C - 1) k negatives.

    Raises:
        ValueError: a class has too few positives or negatives.
    """
    objects = checked_objects(objects)
    check_shots(objects, [shot])
    generator = np.random.default_rng([seed, draw, shot])
    numbers = {1: shot, -1: (objects.shape[1] - 1) * shot}
    rows = [
        [_choose(generator, column == sign, number) for sign, number in numbers.items()]
        for column in objects.T
    ]
    return np.stack([np.concatenate(parts) for parts in rows])


def draw_single_label(
    objects: ArrayLike, shot: int, *, draw: int, seed: int = 0
) -> NDArray[np.int64]:
    """Draw k images of each class once, as Goyal et al. do for Places205.

    The images of the other classes are the negatives of a class. They are interleaved: one of every
    class, then the next of every class. So each stratified fold in this order has all classes;
    otherwise a fold's negatives would be of classes that were not trained on.

    Args:
        objects: (N, C) as ``one_versus_rest`` returns them.

    The other arguments, result and errors are those of ``draw_multi_label``.
    """
    objects = checked_objects(objects)
    check_single_label(objects)
    check_shots(objects, [shot])
    generator = np.random.default_rng([seed, draw, shot])
    drawn = np.stack([_choose(generator, column == 1, shot) for column in objects.T])  # (C, k)
    return np.stack(
        [
            np.concatenate([own, np.delete(drawn, column, axis=0).T.ravel()])
            for column, own in enumerate(drawn)
        ]
    )


def _choose(
    generator: np.random.Generator, candidates: NDArray[np.bool_], number: int
) -> NDArray[np.int64]:
    return generator.choice(np.flatnonzero(candidates), number, replace=False)


def check_shots(objects: NDArray[np.int8], shots: Sequence[int]) -> None:
    num_classes = objects.shape[1]
    if num_classes < 2 or len(shots) == 0 or min(shots) < 1:
        raise ValueError(
            f"Got shots {list(shots)} of {num_classes} classes, expected numbers from 1 on and at "
            "least two classes."
        )
    most = max(shots)
    for kind, sign, needed in (("positive", 1, most), ("negative", -1, (num_classes - 1) * most)):
        counts = (objects == sign).sum(axis=0)
        if counts.min() < needed:
            raise ValueError(
                f"{most} shots need {needed} {kind} images of each class, and class "
                f"{counts.argmin()} has {counts.min()}; the most shots these images allow are "
                f"{largest_shot(objects)}."
            )


def check_single_label(objects: NDArray[np.int8]) -> None:
    several = ((objects == 1).sum(axis=1) != 1) | (objects == 0).any(axis=1)
    if several.any():
        raise ValueError(
            f"{several.sum()} of {len(objects)} images do not have just one label, the first at "
            f"index {several.argmax()}; draw with single_label=False."
        )
