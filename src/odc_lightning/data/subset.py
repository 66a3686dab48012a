"""Random parts of a data set, such as the paper's 300 classes with 300 images each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from odc_lightning.data.long_tail import deal_counts, long_tail_counts
from odc_lightning.data.sources import ImageSource, SubsetSource
from odc_lightning.utils.arrays import IntArray

# The keys that `data.subset` may have: the arguments of `subset_of`.
SUBSET_KEYS = ("num_classes", "images_per_class", "num_images", "imbalance", "seed")


def take_subset(
    labels: IntArray,
    num_classes: int | None = None,
    images_per_class: int | None = None,
    seed: int = 0,
) -> IntArray:
    """Draw classes, then images of each; the paper's ablations use 300 classes with 300 images.

    Args:
        labels: (N,) classes, -1 for unlabelled images, which are never drawn.
        num_classes: how many classes; None for all.
        images_per_class: how many images of each class; None for all.
        seed: the same seed gives the same draw.

    Returns:
        Sorted indices into `labels`.

    Raises:
        ValueError: for more classes than there are, or more images than a drawn class has.
    """
    rng = np.random.default_rng(seed)
    classes = np.unique(labels[labels >= 0])
    if len(classes) == 0:
        raise ValueError("there are no labelled images to draw classes from; use subset.num_images")
    if num_classes is not None:
        _check_count("subset.num_classes", num_classes, len(classes), "labelled classes")
        classes = rng.choice(classes, num_classes, replace=False)

    def number(label: int, available: int) -> int:
        if images_per_class is None:
            return available
        what = f"images in class {label}"
        _check_count("subset.images_per_class", images_per_class, available, what)
        return images_per_class

    return _draw_of_each(labels, np.sort(classes), number, rng)


def take_long_tail(
    labels: IntArray,
    imbalance: float,
    num_classes: int | None = None,
    images_per_class: int | None = None,
    num_images: int | None = None,
    seed: int = 0,
) -> IntArray:
    """Draw classes of exponentially falling sizes, and images of each (Sec. 4.4, Figure 6).

    Args:
        labels: (N,) classes, -1 for unlabelled images, which are never drawn.
        imbalance: the size of the largest class divided by that of the smallest.
        num_classes: how many classes; None for all.
        images_per_class: images in the largest class; or
        num_images: images in all classes together.
        seed: the same seed gives the same draw. The size of each class is drawn, too.

    Returns:
        Sorted indices into `labels`.

    Raises:
        ValueError: if the classes are too few or too small, or if both or neither of
            `images_per_class` and `num_images` are given.
    """
    rng = np.random.default_rng(seed)
    classes, sizes = np.unique(labels[labels >= 0], return_counts=True)
    if num_classes is None:
        num_classes = len(classes)
    _check_count("subset.num_classes", num_classes, len(classes), "labelled classes")
    counts = long_tail_counts(num_classes, imbalance, images_per_class, num_images)
    dealt = deal_counts(counts, dict(zip(classes.tolist(), sizes.tolist(), strict=True)), rng)
    return _draw_of_each(labels, np.array(sorted(dealt)), lambda label, _: dealt[label], rng)


def take_share(labels: IntArray, share: float, seed: int = 0, leave: int = 0) -> IntArray:
    """Draw a share of each class, at least one image of it.

    Args:
        labels: (N,) classes.
        share: in (0, 1].
        seed: the same seed gives the same draw.
        leave: number of images of each class that are never drawn, whatever the share.

    Returns:
        Sorted indices into `labels`.

    Raises:
        ValueError: if `share` is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(
            f"a share of {share} of the labels; expected a number in (0, 1], such as 0.01"
        )

    def number(label: int, available: int) -> int:
        return min(max(1, round(share * available)), available - leave)

    return _draw_of_each(labels, np.unique(labels), number, np.random.default_rng(seed))


def take_images(num_samples: int, num_images: int, seed: int = 0) -> IntArray:
    """Sorted indices of `num_images` of `num_samples` images, drawn regardless of class."""
    _check_count("subset.num_images", num_images, num_samples, "images")
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(num_samples, num_images, replace=False))


def subset_of(
    source: ImageSource,
    num_classes: int | None = None,
    images_per_class: int | None = None,
    num_images: int | None = None,
    imbalance: float | None = None,
    seed: int = 0,
) -> SubsetSource:
    """A random part of a source.

    `take_long_tail` draws if `imbalance` is given, `take_subset` if `num_classes` or
    `images_per_class` is, `take_images` if only `num_images` is.

    Raises:
        ValueError: if neither classes nor a number of images are given, or both without an
            imbalance, or classes for a source without labels.
    """
    by_class = num_classes is not None or images_per_class is not None
    if imbalance is None and by_class == (num_images is not None):
        raise ValueError(
            f"subset: num_classes={num_classes}, images_per_class={images_per_class}, "
            f"num_images={num_images}; expected either num_images, or num_classes and "
            "images_per_class"
        )
    if imbalance is None and num_images is not None:
        return SubsetSource(source, take_images(len(source), num_images, seed))
    if source.labels is None:
        raise ValueError(
            "a subset by class needs labels, and these images have none; use subset.num_images"
        )
    if imbalance is None:
        indices = take_subset(source.labels, num_classes, images_per_class, seed)
    else:
        indices = take_long_tail(
            source.labels, imbalance, num_classes, images_per_class, num_images, seed
        )
    return SubsetSource(source, indices)


def chosen_part(source: ImageSource, subset: Mapping[str, Any] | None) -> ImageSource:
    """The images that ``data.subset`` leaves, or all of them if it is None."""
    return source if subset is None else subset_of(source, **subset)


def same_classes(source: ImageSource, drawn: ImageSource) -> ImageSource:
    """The images of `source` whose class is in `drawn`, or all images if classes are unknown.

    Scores on classes that were not in training would mean little.
    """
    if source.labels is None or drawn.labels is None:
        return source
    return SubsetSource(source, np.flatnonzero(np.isin(source.labels, drawn.labels)))


def _draw_of_each(
    labels: IntArray,
    classes: IntArray,
    number: Callable[[int, int], int],
    rng: np.random.Generator,
) -> IntArray:
    """Sorted indices of `number(class, available)` images drawn from each class."""
    drawn = []
    for label in classes:
        members = np.flatnonzero(labels == label)
        drawn.append(rng.choice(members, number(label, len(members)), replace=False))
    return np.sort(np.concatenate(drawn))


def _check_count(key: str, asked: int, available: int, what: str) -> None:
    if not 1 <= asked <= available:
        raise ValueError(f"{key}={asked}, but there are {available} {what}")
