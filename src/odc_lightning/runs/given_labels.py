"""What a person said about the images of a training: the file that the key ``labels`` names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from odc_lightning.checkpoints import TrainingRun, clustering_states, read_checkpoint
from odc_lightning.naming import GivenNames, NamedImages, name_images, read_given_names
from odc_lightning.naming.label_table import read_label_table
from odc_lightning.naming.named_images import RUBBISH, UNNAMED, groups_of_pairs
from odc_lightning.runs.find import find_run
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.text import printable, quantity

RUBBISH_NAME = "(rubbish)"
_SHOWN = 3  # images in a message


@dataclass
class GivenLabels:
    """What is said about N images.

    Attributes:
        names: the L names; rubbish is the last of them.
        labels: (N,) index of the name of each image, or -1.
        refused: (N,) index of a name that the image does not have, or -1.
        groups: (N,) number of a group of images of one unknown name, or -1.
        apart: (P, 2) images of different names.
        unknown: images that a person spoke of and that are not among the N.
    """

    names: list[str]
    labels: IntArray
    refused: IntArray
    groups: IntArray
    apart: IntArray
    unknown: list[str]


def read_labels(path: Path | str, images: Sequence[str]) -> GivenLabels:
    """Read a ``labels.json``, or a CSV table with the columns ``path`` and ``label``.

    Args:
        path: the file; a table if it does not end in ``.json``.
        images: names of N images.

    Raises:
        ValueError: the file is not as expected or contradicts itself, it names clusters and their
            run is gone or has changed, or it names none of the N images.
    """
    is_json = str(path).lower().endswith(".json")
    given = read_given_names(path) if is_json else read_label_table(path)
    where = f"labels={printable(path)}"
    if given.clusters:
        named, of_run = _named_in_run(given, where)
    else:
        named, of_run = _named(given, images, where), images
    found = _moved_to(named, of_run, images)
    spoken_of = len(named.unknown) + int(_is_known(named).sum())
    if spoken_of == 0:
        raise ValueError(f"{where} says nothing about any image; name clusters or images first")
    if len(found.unknown) == spoken_of:
        raise ValueError(
            f"{where}: none of its {quantity(spoken_of, 'image')} is a training image, for example "
            f"{printable(found.unknown[0])}; the training has {printable(images[0])} and others. "
            "Expected the folder of images that the names were given on"
        )
    _check_pairs(found, images, where)
    return found


def _check_pairs(found: GivenLabels, images: Sequence[str], where: str) -> None:
    """Refuse pairs that are said to belong together and apart."""
    for one, other in found.apart.tolist():
        if found.groups[one] == found.groups[other] != UNNAMED:
            raise ValueError(
                f"{where}: {printable(images[one])} and {printable(images[other])} are said to "
                "belong apart, and by other pairs together; take one of these back on the page"
            )


def unknown_images(found: GivenLabels) -> str:
    """The unknown images in one line for the log; empty if there are none."""
    if not found.unknown:
        return ""
    shown = ", ".join(printable(image) for image in found.unknown[:_SHOWN])
    more = ", ..." if len(found.unknown) > _SHOWN else ""
    return (
        f"{quantity(len(found.unknown), 'image')} of the labels not among those of the training, "
        f"which are ignored: {shown}{more}"
    )


def _named(given: GivenNames, images: Sequence[str], where: str) -> NamedImages:
    try:
        return name_images(given, images, np.zeros(len(images), np.int64))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _named_in_run(given: GivenNames, where: str) -> tuple[NamedImages, Sequence[str]]:
    """The named images of the run whose clusters have names, and the names of all its images."""
    if given.run is None:
        raise ValueError(
            f"{where} names clusters, but not the run that they belong to; name the images in a "
            "table instead: odc label RUN labels.json"
        )
    try:
        run = find_run(given.run, "run")
    except ValueError as error:
        raise ValueError(
            f"{where} names clusters of the run {printable(given.run)}, which is needed for the "
            f"images in them and cannot be read: {error}"
        ) from error
    images, clusters = run.image_names(), _clusters_of(run)
    if images is None or len(images) != len(clusters):
        raise ValueError(
            f"{where} names clusters of the run {printable(run.folder)}, whose index.csv is "
            "missing or has another number of images than its checkpoint; restore it"
        )
    try:
        return name_images(given, images, clusters), images
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _clusters_of(run: TrainingRun) -> IntArray:
    states = clustering_states(read_checkpoint(run.checkpoint, option=None), run.checkpoint)
    if not states:
        raise ValueError(f"{printable(run.folder)} has no clusters in {run.checkpoint.name}")
    found: IntArray = states[0]["labels"].numpy()
    return found


def _is_known(named: NamedImages) -> IntArray:
    """(N,) bool, images that something is said about."""
    known = (named.labels != UNNAMED) | (named.refused != UNNAMED)
    known[named.together.flatten()] = True
    known[named.apart.flatten()] = True
    return known


def _moved_to(named: NamedImages, of_run: Sequence[str], images: Sequence[str]) -> GivenLabels:
    """What is said about the images of a run, for the N images of a training."""
    place = {image: row for row, image in enumerate(images)}
    rows = np.array([place.get(image, UNNAMED) for image in of_run], np.int64)
    lost = _is_known(named) & (rows < 0)
    here = rows >= 0
    labels, refused = (
        np.where(of_images == RUBBISH, len(named.names), of_images)
        for of_images in (named.labels, named.refused)
    )
    used = np.unique(labels[here & (labels >= 0)])  # names without an image here have no cluster
    number = np.full(len(named.names) + 1, UNNAMED)
    number[used] = np.arange(len(used))
    found = GivenLabels(
        names=[[*named.names, RUBBISH_NAME][name] for name in used.tolist()],
        labels=np.full(len(images), UNNAMED),
        refused=np.full(len(images), UNNAMED),
        groups=np.full(len(images), UNNAMED),
        apart=np.empty((0, 2), np.int64),
        unknown=[*named.unknown, *(of_run[row] for row in np.flatnonzero(lost).tolist())],
    )
    found.labels[rows[here]] = np.where(labels[here] < 0, UNNAMED, number[labels[here]])
    found.refused[rows[here]] = np.where(refused[here] < 0, UNNAMED, number[refused[here]])
    kept = [rows[pairs][(rows[pairs] >= 0).all(axis=1)] for pairs in (named.together, named.apart)]
    unnamed = kept[0][(found.labels[kept[0]] == UNNAMED).all(axis=1)]
    for group, members in enumerate(groups_of_pairs(unnamed)):
        found.groups[members] = group
    found.apart = kept[1]
    return found
