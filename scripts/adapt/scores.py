"""Score a run of the study: ``python -m scripts.adapt.scores RUN FROZEN``.

RUN and FROZEN are the folders of a run and of the frozen network's run on the same images. Writes
RUN/scores.json: for the state that the run ends with and that of its last epoch, the scores by
labels, and the measures of the guard on images that the run never trained on.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from scripts.adapt.label_scores import ami_of_kmeans, label_scores, scored_rows
from torch import Tensor

from odc_lightning import load
from odc_lightning.data import ImageDataModule
from odc_lightning.data.held_back import NUM_VIEWS, num_held_back
from odc_lightning.inference import TrainedModel
from odc_lightning.metrics import adjusted_mutual_information
from odc_lightning.metrics.adaptation import adaptation_measures, neighbours_of
from odc_lightning.models import POOLED
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.json_file import read_json, write_json

FILE = "scores.json"
KEPT, LAST = "best.ckpt", "last.ckpt"
SHARE = 0.1  # held back where the run itself held nothing back


class Images:
    """The images of the study, with their labels and the views that the guard measures on.

    Attributes:
        names: of the N images, in order.
        labels: (N,) classes.
        scored: rows of the images with scores, see `scored_rows`.
    """

    def __init__(self, frozen: Path) -> None:
        """Read the images of the frozen network's run.

        Args:
            frozen: folder of the run, with ``start/``.

        Raises:
            ValueError: they have no labels.
        """
        self.start = load(frozen / "start", device="cpu")
        data = self.start.run.config.data
        data.num_workers = 0
        data.seed = 0  # the views of an image are the same for all runs
        self._data: ImageDataModule = instantiate(data)
        self._data.setup("predict")
        source = self._data.train_dataset.source
        if source.labels is None:
            raise ValueError(f"{data.root} has no classes; expected FOLDER/<class>/<image>")
        self.names = [source.name(index) for index in range(len(source))]
        self.labels: IntArray = np.asarray(source.labels)
        self.scored = scored_rows(self.labels)

    def not_in(self, names: Sequence[str]) -> IntArray:
        """The rows (M,) of all images but the named ones."""
        known = set(names)
        return np.array([row for row, name in enumerate(self.names) if name not in known])

    def features(self, model: TrainedModel) -> Tensor:
        """Pooled features (N, D)."""
        loader = self._data.extraction_dataloader("train")
        return torch.cat([model(batch["image"], POOLED) for batch in loader])

    def views(self, model: TrainedModel, rows: IntArray) -> Tensor:
        """Pooled features (M, V, D) of fixed views of some images."""
        loader = self._data.rows_dataloader(rows, views=True)
        found = [model(batch["image"].flatten(0, 1), POOLED) for batch in loader]
        return torch.cat(found).unflatten(0, (len(rows), NUM_VIEWS))


def scores_of(run: Path, frozen: Path) -> dict[str, Any]:
    """All that is written about a run.

    Args:
        run, frozen: their folders; they may be the same.

    Returns:
        - ``states``: ``kept`` (with a guard only) and ``last`` (if something was trained), or
          ``start`` for the frozen network: ``scores`` by labels, ``guard`` measures, and
          ``own_ami``, that of the run's clusters or None.
        - ``guard_start``: the measures of the frozen network on the same views.
        - ``frozen_ami``: of K-Means on its features, with as many clusters.
        - ``seconds``: of the training; ``kept_epoch``.
    """
    images = Images(frozen)
    at_start = images.features(images.start)
    files = {"start": frozen / "start"}
    if run != frozen:
        checkpoints = run / "checkpoints"
        files = {"kept": checkpoints / KEPT, "last": checkpoints / LAST}
    models = {name: load(file, device="cpu") for name, file in files.items() if file.exists()}
    first = next(iter(models.values()))
    held_back = _held_back(first, images)
    own = torch.from_numpy(held_back)
    before = neighbours_of(at_start, own)

    def guard(model: TrainedModel, features: Tensor) -> dict[str, float]:
        return adaptation_measures(features, images.views(model, held_back), own, before)

    states = {}
    for name, model in models.items():
        features = images.features(model)
        states[name] = {
            "scores": label_scores(features[images.scored], images.labels[images.scored]),
            "guard": guard(model, features),
            "own_ami": _own_ami(model, images),
        }
    summary = read_json((frozen / "start" if run == frozen else run) / "summary.json")
    return {
        "states": states,
        "guard_start": guard(images.start, at_start),
        "frozen_ami": ami_of_kmeans(
            at_start, images.labels, images.scored, images.start.num_clusters
        ),
        "num_clusters": images.start.num_clusters,
        "num_images": len(images.names),
        "num_scored": len(images.scored),
        "num_held_back": len(held_back),
        "kept_epoch": summary.get("kept_epoch"),
        "seconds": summary["wall_seconds"],
    }


def _held_back(model: TrainedModel, images: Images) -> IntArray:
    """The rows (M,) of the images that a run never trained on.

    They are those of ``data.held_back``, or those that its subset left out; of the frozen network a
    random tenth.
    """
    config = model.run.config.data
    rows = images.not_in(model.run.image_names() or [])
    if len(rows) == 0:
        data: ImageDataModule = instantiate(config)
        data.setup("predict")
        rows = data.held_back_rows
    if len(rows) == 0:
        count = max(2, num_held_back(len(images.names), SHARE))
        rows = np.sort(np.random.default_rng(0).permutation(len(images.names))[:count])
    return rows


def _own_ami(model: TrainedModel, images: Images) -> float | None:
    """The AMI of a run's clusters with the classes; None if not all images have one."""
    if model.labels is None or model.run.image_names() != images.names:
        return None
    found = model.labels.cpu().numpy()[images.scored]
    return adjusted_mutual_information(images.labels[images.scored], found)


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("frozen", type=Path, metavar="FROZEN")
    given = parser.parse_args(argv)
    started = time.monotonic()
    try:
        found = scores_of(given.run, given.frozen)
    except ValueError as error:
        parser.error(str(error))
    write_json(given.run / FILE, {**found, "seconds_of_scores": time.monotonic() - started})


if __name__ == "__main__":
    main()
