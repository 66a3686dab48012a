"""CSV tables of a run: the file and the cluster of each sample."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from odc_lightning.utils.seals import sealing
from odc_lightning.utils.tables import table_writer


def write_index_table(path: Path | str, names: Sequence[str]) -> None:
    """Write ``index,path``: the file of each sample.

    Args:
        path: the CSV file.
        names: N file names, in the order of the dataset.
    """
    with sealing(Path(path)), table_writer(path, ("index", "path")) as write:
        write(enumerate(names))


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
    columns = ("index", "path", "cluster", "distance")
    with sealing(Path(path)), table_writer(path, columns) as write:
        write(rows)
