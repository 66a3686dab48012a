"""Random parts of a data set, such as the paper's 300 classes with 300 images each."""

from __future__ import annotations

import numpy as np

from odc_lightning.data.sources import ImageSource, IntArray, SubsetSource


def take_subset(
    labels: IntArray,
    num_classes: int | None = None,
    images_per_class: int | None = None,
    seed: int = 0,
) -> IntArray:
    """Draw classes, then images of each; the paper's ablations use 300 classes of 300 images.

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
        raise ValueError("no labelled images to draw classes from; use subset.num_images")
    if num_classes is not None:
        _check_count("subset.num_classes", num_classes, len(classes), "labelled classes")
        classes = rng.choice(classes, num_classes, replace=False)
    drawn = []
    for label in np.sort(classes):
        members = np.flatnonzero(labels == label)
        if images_per_class is not None:
            what = f"images in class {label}"
            _check_count("subset.images_per_class", images_per_class, len(members), what)
            members = rng.choice(members, images_per_class, replace=False)
        drawn.append(members)
    return np.sort(np.concatenate(drawn))


def take_images(num_samples: int, num_images: int, seed: int = 0) -> IntArray:
    """Draw `num_images` of `num_samples` images, whatever their classes; sorted indices."""
    _check_count("subset.num_images", num_images, num_samples, "images")
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(num_samples, num_images, replace=False))


def subset_of(
    source: ImageSource,
    num_classes: int | None = None,
    images_per_class: int | None = None,
    num_images: int | None = None,
    seed: int = 0,
) -> SubsetSource:
    """`take_subset` if classes are concerned, `take_images` if only a number is asked for.

    Raises:
        ValueError: if both ways are asked for, or neither, or classes of a source without labels.
    """
    by_class = num_classes is not None or images_per_class is not None
    if by_class == (num_images is not None):
        raise ValueError(
            f"subset: num_classes={num_classes}, images_per_class={images_per_class}, "
            f"num_images={num_images}; give either num_images or the other two"
        )
    if num_images is not None:
        return SubsetSource(source, take_images(len(source), num_images, seed))
    if source.labels is None:
        raise ValueError(
            "a subset by class needs labels, and these images have none; use subset.num_images"
        )
    return SubsetSource(source, take_subset(source.labels, num_classes, images_per_class, seed))


def same_classes(source: ImageSource, drawn: ImageSource) -> ImageSource:
    """The images of `source` whose class is in `drawn`, or all of them where classes are unknown.

    Scores on classes that training never saw would say little.
    """
    if source.labels is None or drawn.labels is None:
        return source
    return SubsetSource(source, np.flatnonzero(np.isin(source.labels, drawn.labels)))


def _check_count(key: str, asked: int, available: int, what: str) -> None:
    if not 1 <= asked <= available:
        raise ValueError(f"{key}={asked}, but there are {available} {what}")
