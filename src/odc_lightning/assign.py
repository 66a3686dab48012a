"""Clusters of new images: ``python -m odc_lightning.assign run=RUN root=FOLDER``.

A row an image, as Parquet and as CSV: its cluster, how sure that is, whether it is like anything
that the network was trained on, and its nearest neighbours among those images. What is interrupted
goes on with the same command.
"""

from functools import partial
from pathlib import Path

import hydra
import pyarrow as pa
from omegaconf import DictConfig
from torch import Tensor

from odc_lightning.cli.command import ALWAYS_IRRELEVANT, ignore_warnings, run_command
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.resolve import resolve
from odc_lightning.inference import EMBEDDING, Reference
from odc_lightning.inference.image_table import (
    check_numbers,
    facts_of,
    fill,
    folder_of,
    images_of,
    load_from,
    rows_of_part,
)
from odc_lightning.inference.table_files import write_csv, write_parquet
from odc_lightning.inference.table_parts import Parts
from odc_lightning.utils.text import valid_utf8

FILES = {"assigned.parquet": write_parquet, "assigned.csv": write_csv}


def assign(config: DictConfig) -> Path:
    """Write the table of ``config.root``'s images.

    Returns:
        The folder that it is in.
    """
    ignore_warnings(ALWAYS_IRRELEVANT)
    config = resolve(config)
    check_numbers(config, "batch_size", "part_size", "neighbours")
    model = load_from(config)
    source = images_of(config, model)
    reference = model.reference
    k = min(config.neighbours, len(reference.names) - 1)
    name = Path(str(config.root)).expanduser().resolve().name
    folder = folder_of(config, model, "assigned", name)
    facts = facts_of(model, source, neighbours=k)
    parts = Parts(folder, facts, len(source), rows_of_part(config, reference.width))
    embed = partial(model, layer=EMBEDDING)
    fill(parts, embed, source, model, config, partial(rows, reference, k), FILES)
    print(f"{len(source):,} images: {folder}/assigned.csv and assigned.parquet")
    return folder


def rows(reference: Reference, k: int, names: list[str], features: Tensor) -> pa.Table:
    """The rows of some images.

    Args:
        reference: of the run.
        k: neighbours.
        names: (B,) of the images.
        features: (B, D) fp32 of unit length.
    """
    found = reference.clusters.assign(features)
    near = reference.neighbours(features, k)
    columns = {
        "path": list(map(valid_utf8, names)),
        "cluster": found.labels.numpy(),
        "distance": found.distances.numpy(),
        "margin": found.margin.numpy(),
        "outlier": near.outlier.numpy(),
        "second": found.second.numpy(),
    }
    for place in range(k):
        indices = near.indices[:, place].tolist()
        columns[f"neighbour_{place + 1}"] = [valid_utf8(reference.names[i]) for i in indices]
        columns[f"similarity_{place + 1}"] = near.similarities[:, place].numpy()
    return pa.table(columns)


@hydra.main(version_base="1.3", config_path=CONFIG_DIR, config_name="assign")
def main(config: DictConfig) -> None:
    """Command line entry."""
    run_command(assign, config)


if __name__ == "__main__":
    main()
