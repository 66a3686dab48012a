"""Which image has which name, by all that a person said about images, clusters and pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np

from odc_lightning.naming.given_names import GivenNames, Pair, clustering_id, read_given_names
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.text import printable

UNNAMED, RUBBISH = -1, -2
_SHOWN = 3  # images in a message


class Source(IntEnum):
    """Who gave an image its name."""

    NOBODY = 0
    PERSON = 1
    CLUSTER = 2
    CLASSIFIER = 3


@dataclass
class NamedImages:
    """N images with L names.

    Attributes:
        names: the L names, sorted.
        labels: (N,) int64 index of the name, `UNNAMED` or `RUBBISH`.
        sources: (N,) int64, each a `Source`.
        refused: (N,) int64, the label that the image does not have, or `UNNAMED`.
        together, apart: (P, 2) int64, pairs of images.
        unknown: images that a person spoke of and that are not among the N.
    """

    names: list[str]
    labels: IntArray
    sources: IntArray
    refused: IntArray
    together: IntArray
    apart: IntArray
    unknown: list[str]

    def name_of(self, label: int) -> str:
        """The name of a label, empty for rubbish and for none."""
        return self.names[label] if label >= 0 else ""


def name_images(given: GivenNames, images: Sequence[str], clusters: IntArray) -> NamedImages:
    """Name images: what is said of an image counts before what is said of its cluster.

    Images that belong together get the one name that they have. Of two images apart with one name,
    that whose name only comes from its cluster has none; both have none if both are such.

    Args:
        given: what a person said.
        images: names of N images of the run.
        clusters: (N,) of the images.

    Raises:
        ValueError: the names are those of another clustering or of other images, or contradict
            each other.
    """
    rows = {image: row for row, image in enumerate(images)}
    check_run(given, images, clusters, rows)
    distinct = {*given.clusters.values(), *given.images.values()} - {None}
    names = sorted(str(name) for name in distinct)
    index = {name: number for number, name in enumerate(names)}
    of_cluster = np.full(int(clusters.max()) + 1, UNNAMED)
    for cluster, name in given.clusters.items():
        of_cluster[cluster] = RUBBISH if name is None else index[name]
    labels: IntArray = of_cluster[clusters]
    sources = np.where(labels == UNNAMED, Source.NOBODY, Source.CLUSTER)
    refused = np.full(len(images), UNNAMED)
    for image, name in given.images.items():
        if image in rows:
            labels[rows[image]] = RUBBISH if name is None else index[name]
            sources[rows[image]] = Source.PERSON
    for image in dict.fromkeys(given.wrong):
        if image in rows:
            refused[rows[image]] = labels[rows[image]]
            labels[rows[image]], sources[rows[image]] = UNNAMED, Source.NOBODY
    named = NamedImages(
        names,
        labels,
        sources,
        refused,
        _rows(given.together, rows),
        _rows(given.apart, rows),
        [image for image in _spoken_of(given) if image not in rows],
    )
    _join(named, images)
    _part(named, images)
    return named


def read_names(
    path: Path | str, images: Sequence[str], clusters: IntArray
) -> tuple[GivenNames, NamedImages]:
    """Read a ``labels.json`` and name the images of its run.

    Args:
        path: of the file.
        images, clusters: see `name_images`.

    Raises:
        ValueError: see `read_given_names` and `name_images`; or no image gets a name.
    """
    given = read_given_names(path)
    named = name_images(given, images, clusters)
    if not (named.sources != Source.NOBODY).any():
        raise ValueError(f"labels={path} gives no image a name; name a cluster first")
    return given, named


def check_run(
    given: GivenNames, images: Sequence[str], clusters: IntArray, rows: dict[str, int]
) -> None:
    """Check that names are those of a run.

    Args:
        given: what a person said.
        images: names of N images of the run.
        clusters: (N,) of the images.
        rows: image -> its place.

    Raises:
        ValueError: they are those of another clustering, or of other images.
    """
    if given.clusters and given.clustering != clustering_id(images, clusters):
        of = "" if given.run is None else f"; they were given on the page of {given.run}"
        raise ValueError(
            "the names of clusters are those of another clustering, where the same numbers mean "
            f"other images{of}. Expected names from a page of this run"
        )
    if (largest := max(given.clusters, default=0)) > clusters.max():
        raise ValueError(f"cluster {largest} has a name, but the last cluster is {clusters.max()}")
    spoken_of = _spoken_of(given)
    if spoken_of and not given.clusters and not any(image in rows for image in spoken_of):
        shown = ", ".join(printable(image) for image in spoken_of[:_SHOWN])
        raise ValueError(
            f"none of the {len(spoken_of)} named images is an image of this run, for example "
            f"{shown}; the run has {printable(images[0])} and others"
        )


def _spoken_of(given: GivenNames) -> list[str]:
    """All images that a person said something about, each once."""
    pairs = (image for pair in (*given.together, *given.apart) for image in pair)
    return list(dict.fromkeys((*given.images, *given.wrong, *pairs)))


def _rows(pairs: Sequence[Pair], rows: dict[str, int]) -> IntArray:
    """(P, 2) places of the pairs whose images are both there."""
    known = [(rows[one], rows[other]) for one, other in pairs if one in rows and other in rows]
    return np.array(known, np.int64).reshape(-1, 2)


def groups_of_pairs(pairs: IntArray) -> list[IntArray]:
    """Groups of two and more images that pairs connect.

    Args:
        pairs: (P, 2) of images.
    """
    group_of: dict[int, set[int]] = {}
    for one, other in pairs.tolist():
        merged = group_of.get(one, {one}) | group_of.get(other, {other})
        for row in merged:
            group_of[row] = merged
    distinct = {id(group): group for group in group_of.values()}
    return [np.array(sorted(group)) for group in distinct.values()]


def _join(named: NamedImages, images: Sequence[str]) -> None:
    """Give images that belong together one name."""
    for group in groups_of_pairs(named.together):
        by_person = group[named.sources[group] == Source.PERSON]
        said = np.unique(named.labels[by_person])
        if len(said) > 1:
            one, other = (by_person[named.labels[by_person] == label][0] for label in said[:2])
            _contradict(named, images, one, other, "belong together")
        if len(said) == 1:
            refusing = group[named.refused[group] == said[0]]
            if len(refusing) > 0:
                _contradict(named, images, by_person[0], refusing[0], "belong together")
            named.labels[group], named.sources[group] = said[0], Source.PERSON
            continue
        found = np.unique(named.labels[group][named.labels[group] != UNNAMED])
        agreed = len(found) == 1 and not (named.refused[group] == found[0]).any()
        named.labels[group] = found[0] if agreed else UNNAMED
        named.sources[group] = Source.CLUSTER if agreed else Source.NOBODY


def unit_of(row: int, groups: Sequence[IntArray]) -> IntArray:
    """The images that must have the same name as one: its group, or itself alone.

    Args:
        row: the image.
        groups: of images that belong together.
    """
    return next((group for group in groups if row in group), np.array([row]))


def _part(named: NamedImages, images: Sequence[str]) -> None:
    """Take the less certain name from one of two images that are apart, and from its group."""
    groups = groups_of_pairs(named.together)
    for one, other in named.apart.tolist():
        units = [unit_of(row, groups) for row in (one, other)]
        if other in units[0]:
            _contradict(named, images, one, other, "belong apart, and by other pairs together")
        if named.labels[one] < 0 or named.labels[one] != named.labels[other]:
            continue
        certain = [(named.sources[unit] == Source.PERSON).any() for unit in units]
        if all(certain):
            _contradict(named, images, one, other, "belong apart")
        for unit, sure in zip(units, certain, strict=True):
            if not sure:
                named.labels[unit], named.sources[unit] = UNNAMED, Source.NOBODY


def _contradict(named: NamedImages, images: Sequence[str], one: int, other: int, word: str) -> None:
    said = [
        "no name" if label == UNNAMED else named.name_of(label) or "rubbish"
        for label in named.labels[[one, other]].tolist()
    ]
    raise ValueError(
        f"{printable(images[one])} and {printable(images[other])} are said to {word}, and have the "
        f"names {said[0]!r} and {said[1]!r}; take one of these back on the page"
    )
