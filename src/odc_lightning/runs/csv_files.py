"""Tables that lead from the index of a sample to its file and its cluster."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from torch import Tensor


def write_index_table(path: Path | str, names: Sequence[str]) -> None:
    """Write ``index,path``: which file the i-th sample is.

    Args:
        path: of the CSV file.
        names: N file names, in the order of the dataset.
    """
    _write(path, ("index", "path"), enumerate(names))


def write_clusters(
    path: Path | str, names: Sequence[str], labels: Tensor, distances: Tensor
) -> None:
    """Write ``index,path,cluster,distance``: where each sample ended up.

    Args:
        path: of the CSV file.
        names: N file names, in the order of the dataset.
        labels: (N,) integer clusters.
        distances: (N,) L2 distance of each sample's memory feature to its cluster's centroid.

    Raises:
        ValueError: names, labels and distances are not of one length N.
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
    # Names that are not valid UTF-8 reach Python as surrogates; they leave as the bytes they were.
    with Path(path).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        # Python 3.11 quotes a lone "\r" only if it is part of the line's end, so this stays "\r\n".
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(header)
        writer.writerows(rows)
