"""CSV tables of a run: the file and the cluster of each sample."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from torch import Tensor

from odc_lightning.utils.seals import seal


def write_index_table(path: Path | str, names: Sequence[str]) -> None:
    """Write ``index,path``: the file of each sample.

    Args:
        path: the CSV file.
        names: N file names, in the order of the dataset.
    """
    _write(path, ("index", "path"), enumerate(names))


def write_clusters(
    path: Path | str, names: Sequence[str], labels: Tensor, distances: Tensor
) -> None:
    """Write ``index,path,cluster,distance``: the cluster of each sample.

    Args:
        path: the CSV file.
        names: N file names, in the order of the dataset.
        labels: (N,) integer clusters.
        distances: (N,) L2 distance of each sample's memory feature to its cluster's centroid.

    Raises:
        ValueError: names, labels and distances differ in length.
    """
    expected = (len(names),)
    if labels.shape != expected or distances.shape != expected:
        raise ValueError(
            f"Got {len(names)} names, labels of shape {tuple(labels.shape)} and distances of "
            f"shape {tuple(distances.shape)}; expected (N,) for the same N."
        )
    rounded = (f"{distance:.6f}" for distance in distances.tolist())
    rows = zip(range(len(names)), names, labels.tolist(), rounded, strict=True)
    _write(path, ("index", "path", "cluster", "distance"), rows)


def _write(path: Path | str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    # Names that are not valid UTF-8 reach Python as surrogates; their original bytes are written.
    with Path(path).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        # Python 3.11 quotes a lone "\r" only if the line terminator has one, so it stays "\r\n".
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(header)
        writer.writerows(rows)
    seal(Path(path))
