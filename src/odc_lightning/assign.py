"""Clusters of new images: ``python -m odc_lightning.assign run=RUN root=FOLDER``.

One row per image, as Parquet and CSV: its cluster, the margin to the second cluster, an outlier
score, and its nearest neighbours among the training images; with ``labels=labels.json`` also its
name. Run the same command again to resume an interrupted one.
"""

from functools import partial
from pathlib import Path

import pyarrow as pa
from omegaconf import DictConfig
from torch import Tensor

from odc_lightning.cli.command import ALWAYS_IRRELEVANT, ignore_warnings, run_command
from odc_lightning.cli.hydra_command import hydra_command
from odc_lightning.config.resolve import resolve
from odc_lightning.config.validation import NumberRule
from odc_lightning.data.short_name import short_name
from odc_lightning.inference import EMBEDDING, Reference, TrainedModel
from odc_lightning.inference.image_table import (
    check_numbers,
    facts_of,
    fill,
    folder_of,
    images_of,
    load_from,
    rows_of_part,
)
from odc_lightning.inference.namer import Namer
from odc_lightning.inference.table_files import write_csv, write_parquet
from odc_lightning.inference.table_parts import Parts
from odc_lightning.utils.text import printable, quantity, valid_utf8

FILES = {"assigned.parquet": write_parquet, "assigned.csv": write_csv}


def assign(config: DictConfig) -> Path:
    """Write the table of the images in ``config.root``.

    Returns:
        The folder of the table.

    Raises:
        ValueError: a setting is invalid, or the run or the images cannot be read.
    """
    ignore_warnings(ALWAYS_IRRELEVANT)
    config = resolve(config)
    check_numbers(config, "batch_size", "part_size", "neighbours")
    if not NumberRule(0.0, 1.0).accepts(config.sure):
        raise ValueError(f"sure={config.sure}; expected {NumberRule(0.0, 1.0)}")
    model = load_from(config)
    source = images_of(config, model)
    reference = model.reference
    namer = None if config.labels is None else Namer(model, config.labels, config.sure, config.seed)
    k = min(config.neighbours, len(reference.names) - 1)
    folder = folder_of(config, model, "assigned", short_name(config.data))
    named = {} if namer is None else namer.facts
    facts = facts_of(model, source, neighbours=k, **_incomplete(reference, model), **named)
    parts = Parts(folder, facts, len(source), rows_of_part(config, reference.width))
    embed = partial(model, layer=EMBEDDING)
    fill(parts, embed, source, model, config, partial(rows, reference, namer, k), FILES)
    count = quantity(len(source), "image")
    print(f"{count}: {printable(folder)}/assigned.csv and assigned.parquet")
    return folder


def _incomplete(reference: Reference, model: TrainedModel) -> dict[str, int]:
    """A fact about a table if the reference lacks images, which could be there another time."""
    assert model.labels is not None  # else there would be no reference
    num_images = len(reference.names)
    return {} if num_images == len(model.labels) else {"training_images": num_images}


def rows(
    reference: Reference, namer: Namer | None, k: int, names: list[str], features: Tensor
) -> pa.Table:
    """Table rows of a batch of images.

    Args:
        reference: clusters and images of the run.
        namer: of images by the names that a person gave; None without such names.
        k: number of neighbours.
        names: B names of images.
        features: (B, D) fp32 of unit length.
    """
    assigned = reference.clusters.assign(features)
    neighbours = reference.neighbours(features, k)
    columns = {
        "path": list(map(valid_utf8, names)),
        **({} if namer is None else namer.columns(features, assigned.labels.numpy())),
        "cluster": assigned.labels.numpy(),
        "distance": assigned.distances.numpy(),
        "margin": assigned.margin.numpy(),
        "outlier": neighbours.outlier.numpy(),
        "second": assigned.second.numpy(),
    }
    for rank in range(k):
        indices = neighbours.indices[:, rank].tolist()
        columns[f"neighbour_{rank + 1}"] = [valid_utf8(reference.names[i]) for i in indices]
        columns[f"similarity_{rank + 1}"] = neighbours.similarities[:, rank].numpy()
    return pa.table(columns)


@hydra_command("assign")
def main(config: DictConfig) -> None:
    """Command-line entry point."""
    run_command(assign, config)


if __name__ == "__main__":
    main()
