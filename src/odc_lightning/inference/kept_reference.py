"""The files of a reference in a run's folder, each with its digest."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from odc_lightning.utils.arrays import FloatArray, IntArray, load_array
from odc_lightning.utils.json_file import read_json, write_json
from odc_lightning.utils.seals import is_intact, seal
from odc_lightning.utils.tables import read_table, table_writer
from odc_lightning.utils.text import first_line
from odc_lightning.utils.whole_files import whole_folder

log = logging.getLogger(__name__)

ARRAYS = ("centroids", "counts", "features")
FACTS, IMAGES = "facts.json", "images.csv"


class Kept(NamedTuple):
    """The parts of a reference that are expensive to compute.

    Attributes:
        names: of N images of the run.
        centroids: (C, D).
        counts: (C,) images in each cluster.
        features: (N, D) of unit length. They are kept as numbers, because faiss trusts whatever a
            file of its own format says.
        labels: (N,) the clusters of the images in the run.
        agreement: see `Reference`.
    """

    names: list[str]
    centroids: FloatArray
    counts: IntArray
    features: FloatArray
    labels: IntArray
    agreement: float


def write_kept(kept: Kept, folder: Path, facts: Mapping[str, object]) -> None:
    """Write all files in a temporary folder, and then rename it.

    Args:
        kept: to write.
        folder: to replace.
        facts: plain values that the reference depends on.
    """
    with whole_folder(folder, replace=True) as unfinished:
        for name in ARRAYS:
            np.save(unfinished / f"{name}.npy", getattr(kept, name))
        with table_writer(unfinished / IMAGES, ("path", "cluster")) as write:
            write(zip(kept.names, kept.labels.tolist(), strict=True))
        write_json(unfinished / FACTS, {**facts, "agreement": kept.agreement})
        seal(*_files(unfinished))


def read_kept(folder: Path, facts: Mapping[str, object], num_clusters: int) -> Kept | None:
    """The kept reference; None if there is none, or one of other facts or that is damaged.

    Args:
        folder: of `write_kept`.
        facts: it must have been written with these.
        num_clusters: C.
    """
    if not all(file.is_file() for file in _files(folder)):
        return None
    try:
        written = read_json(folder / FACTS)
        damaged = [file.name for file in _files(folder) if not is_intact(file)]
        if damaged:
            raise ValueError(f"the digest of {' and '.join(damaged)} is wrong")
        if {key: written[key] for key in facts} != facts:
            return None
        rows = read_table(folder / IMAGES, "path", "cluster")
        names = [name for name, _ in rows]
        labels = np.array([int(cluster) for _, cluster in rows], np.int64)
        centroids, counts, features = (
            np.array(load_array(folder / f"{name}.npy")) for name in ARRAYS
        )
        if (centroids.dtype, counts.dtype, features.dtype) != (np.float32, np.int64, np.float32):
            raise ValueError("its arrays have other types")
        shapes = (centroids.shape, counts.shape, features.shape)
        width = centroids.shape[-1]
        if shapes != ((num_clusters, width), (num_clusters,), (len(names), width)):
            raise ValueError(f"its arrays have the shapes {shapes} for {len(names)} images")
        if not len(labels) or labels.min() < 0 or labels.max() >= num_clusters:
            raise ValueError(f"it has no images, or clusters other than 0 to {num_clusters - 1}")
        agreement = float(written["agreement"])
        return Kept(names, centroids, counts, features, labels, agreement)
    except (OSError, KeyError, TypeError, ValueError, IndexError) as error:
        log.warning("%s is damaged and is made again: %s", folder, first_line(error))
        return None


def _files(folder: Path) -> list[Path]:
    return [*(folder / f"{name}.npy" for name in ARRAYS), folder / IMAGES, folder / FACTS]
