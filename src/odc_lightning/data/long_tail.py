"""Class sizes of long-tailed subsets, as in the paper's Figure 6."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from odc_lightning.utils.arrays import IntArray


def long_tail_profile(num_classes: int, imbalance: float) -> np.ndarray:
    """Class sizes relative to the largest class, falling exponentially.

    Args:
        num_classes: K.
        imbalance: r, the size of the largest class divided by that of the smallest.

    Returns:
        (K,) r^(-c / (K - 1)) for c = 0 ... K - 1: from 1 down to 1 / r.

    Raises:
        ValueError: for fewer than two classes, or an imbalance below 1.
    """
    if num_classes < 2:
        raise ValueError(
            f"subset.imbalance={imbalance} for {num_classes} class; expected two classes or more"
        )
    number = isinstance(imbalance, int | float) and not isinstance(imbalance, bool)
    if not number or not 1 <= imbalance < np.inf:
        raise ValueError(
            f"subset.imbalance={imbalance}; expected 1 (all classes of one size) or more: the size "
            "of the largest class divided by that of the smallest"
        )
    return imbalance ** (-np.arange(num_classes) / (num_classes - 1))


def long_tail_counts(
    num_classes: int, imbalance: float, largest: int | None = None, total: int | None = None
) -> IntArray:
    """How many images each class has, the largest class first.

    Args:
        num_classes: K.
        imbalance: the size of the largest class divided by that of the smallest.
        largest: images in the largest class; or
        total: images in all classes, the same for any imbalance. Counts are rounded down, and the
            remaining images go to the classes that lost most by rounding.

    Returns:
        (K,) counts in descending order, each 1 or more.

    Raises:
        ValueError: if the smallest class would be empty, or if both or neither of `largest` and
            `total` are given.
    """
    profile = long_tail_profile(num_classes, imbalance)
    if largest is not None and total is None:
        counts = np.rint(largest * profile).astype(np.int64)
    elif total is not None and largest is None:
        exact = total * profile / profile.sum()
        counts = np.floor(exact).astype(np.int64)
        lost = np.argsort(counts - exact, kind="stable")
        counts[lost[: total - counts.sum()]] += 1
        counts = -np.sort(-counts)
    else:
        raise ValueError(
            f"subset: imbalance={imbalance:g} with images_per_class={largest} and "
            f"num_images={total}; give one of the two: images_per_class for the largest class, or "
            "num_images for all classes together"
        )
    if counts[-1] < 1:
        raise ValueError(
            f"subset.imbalance={imbalance:g}: the smallest of {num_classes} classes would be "
            "empty; use more images or a smaller imbalance"
        )
    return counts


def deal_counts(
    counts: IntArray, available: Mapping[int, int], rng: np.random.Generator
) -> dict[int, int]:
    """Assign the counts to classes at random, each to a class that has enough images.

    Args:
        counts: (K,) in descending order.
        available: number of images of each class, for K classes or more.
        rng: draws the order of the classes.

    Returns:
        A count for each of K classes.

    Raises:
        ValueError: if the classes have too few images.
    """
    order = rng.permutation(np.array(sorted(available))).tolist()
    dealt: dict[int, int] = {}
    for count in counts.tolist():
        # Counts descend, so a class that has enough images now has enough for all later counts.
        fitting = next((label for label in order if available[label] >= count), None)
        if fitting is None:
            most = max((available[label] for label in order), default=0)
            raise ValueError(
                f"subset: {len(dealt) + 1} classes of at least {count} images are needed for this "
                f"imbalance, and the largest remaining class has {most}; use fewer images or a "
                "smaller imbalance"
            )
        order.remove(fitting)
        dealt[fitting] = count
    return dealt
