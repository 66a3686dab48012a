"""Features of images: ``python -m odc_lightning.extract run=RUN layer=conv5 format=npy``.

Uses the run's training images, or others with ``data=image_folder data.root=FOLDER``.
Run the same command again to resume an interrupted one.
"""

from functools import partial
from pathlib import Path

import pyarrow as pa
from omegaconf import DictConfig
from torch import Tensor

from odc_lightning.cli.command import ALWAYS_IRRELEVANT, ignore_warnings, run_command
from odc_lightning.cli.hydra_command import hydra_command
from odc_lightning.config.resolve import resolve
from odc_lightning.data import ImageSource
from odc_lightning.data.short_name import short_name
from odc_lightning.inference import TrainedModel
from odc_lightning.inference.image_table import (
    check_numbers,
    facts_of,
    fill,
    folder_of,
    images_of,
    load_from,
    rows_of_part,
)
from odc_lightning.inference.table_files import FORMATS, features_table, write_features
from odc_lightning.inference.table_parts import Parts
from odc_lightning.inference.viewer_files import VIEWERS, write_for_viewer
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.text import printable


def extract(config: DictConfig) -> Path:
    """Write the features of one layer, with the images' paths.

    Returns:
        The folder of the features.

    Raises:
        ValueError: a setting is invalid, or the run or the images cannot be read.
    """
    ignore_warnings(ALWAYS_IRRELEVANT)
    config = resolve(config)
    check_numbers(config, "batch_size", "part_size")
    if config.format not in (*FORMATS, *VIEWERS):
        expected = ", ".join((*FORMATS, *VIEWERS))
        raise ValueError(f"format={config.format}; expected one of {expected}")
    model = load_from(config)
    layer = model.layers[0] if config.layer is None else str(config.layer)
    model.check_layer(layer)
    source, clusters, name = _images(config, model)
    writers = (
        write_for_viewer(config.format, layer, source, clusters)
        if config.format in VIEWERS
        else write_features(config.format)
    )
    folder = folder_of(config, model, "features", f"{name}-{layer}-{config.format}")
    width = model(model.transform(source.load(0)).unsqueeze(0).to(model.device), layer).shape[1]
    facts = facts_of(model, source, layer=layer, format=config.format)
    parts = Parts(folder, facts, len(source), rows_of_part(config, width))
    fill(parts, partial(model, layer=layer), source, model, config, _table, writers)
    print(f"{len(source):,} x {width} features of {layer}: {printable(folder)}/")
    return folder


def _images(config: DictConfig, model: TrainedModel) -> tuple[ImageSource, IntArray | None, str]:
    """N images, their clusters (N,) if they are those of the run, and a short name for them."""
    if config.get("data") is not None:
        return images_of(config, model), None, short_name(config.data)
    source = model.training_images()
    clusters = None if model.labels is None else model.labels.cpu().numpy()[source.indices]
    return source, clusters, "own"


def _table(names: list[str], features: Tensor) -> pa.Table:
    return features_table(names, features.numpy())


@hydra_command("extract")
def main(config: DictConfig) -> None:
    """Command-line entry point."""
    run_command(extract, config)


if __name__ == "__main__":
    main()
