"""Score a run of the study: ``python -m scripts.named.scores RUN --test FOLDER --labels FILE ...``.

FOLDER has the images of each class that no run has seen, and each FILE the names of some training
images. Writes RUN/scores.json: for each state of the run and each file, the accuracy on the test
images of a linear classifier trained on the named images, and how well the clusters of the images
without a name agree with the classes: those of the run, and those of K-Means that keeps the names
(``seeded_ami``).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scripts.adapt.label_scores import ALPHAS
from sklearn.linear_model import RidgeClassifierCV
from torch.nn.functional import normalize

from odc_lightning import load
from odc_lightning.clustering import make_constraints, nonempty_kmeans
from odc_lightning.data import image_folder
from odc_lightning.inference import TrainedModel
from odc_lightning.metrics import adjusted_mutual_information, normalized_mutual_information
from odc_lightning.models import POOLED
from odc_lightning.naming.label_table import read_label_table
from odc_lightning.utils.arrays import FloatArray, IntArray
from odc_lightning.utils.json_file import write_json

FILE = "scores.json"
STATES = {"start": "start", "kept": "checkpoints/best.ckpt", "last": "checkpoints/last.ckpt"}


def scores_of(run: Path, test: Path, labels: Sequence[Path]) -> dict[str, Any]:
    """The scores of all states of a run.

    Args:
        run: its folder.
        test: folder with a folder of images for each class.
        labels: tables of named images.

    Returns:
        State -> name of the table -> score. ``start`` is the frozen network.
    """
    files = {name: run / place for name, place in STATES.items() if (run / place).exists()}
    if "last" in files:
        files.pop("start", None)  # every run has the same
    return {name: _scores_of_state(file, test, labels) for name, file in files.items()}


def _scores_of_state(file: Path, test: Path, labels: Sequence[Path]) -> dict[str, Any]:
    model = load(file, device="cpu")
    train = model.run.config.data.train.root
    features, classes, names = _features(model, Path(train))
    of_test, classes_of_test, _ = _features(model, test)
    clusters = model.labels
    assert clusters is not None
    assert model.run.image_names() == names
    found = {}
    for table in labels:
        named = read_label_table(table).images
        is_named = np.array([name in named for name in names])
        truth, own = classes[~is_named], clusters.numpy()[~is_named]
        found[table.stem] = {
            **_accuracy(features, classes, is_named, of_test, classes_of_test),
            "num_named": int(is_named.sum()),
            "num_unnamed": int((~is_named).sum()),
            "ami": adjusted_mutual_information(truth, own),
            "nmi": normalized_mutual_information(truth, own),
            "seeded_ami": adjusted_mutual_information(
                truth, _seeded(features, classes, is_named, model.num_clusters)[~is_named]
            ),
        }
    return found


def _seeded(
    features: FloatArray, classes: IntArray, is_named: IntArray, num_clusters: int
) -> IntArray:
    """Clusters (N,) by constrained K-Means of features as they are, where names train nothing."""
    unit = normalize(torch.from_numpy(features - features.mean(axis=0)))
    names, nothing = np.where(is_named, classes, -1), np.full(len(classes), -1)
    pairs = np.empty((0, 2), np.int64)
    num_names = int(classes.max()) + 1
    limits = make_constraints(names, nothing, nothing, pairs, num_names, num_clusters)
    labels = nonempty_kmeans(unit, num_clusters, 20, 0, "auto", lambda: None, None, limits)
    found: IntArray = labels.numpy()
    return found


def _features(model: TrainedModel, folder: Path) -> tuple[FloatArray, IntArray, list[str]]:
    """Pooled features (N, D) of unit length, classes (N,) and names of the images in a folder."""
    source = image_folder(str(folder), labels_from_folder=True)
    names = [source.name(row) for row in range(len(source))]
    assert source.labels is not None
    unit: FloatArray = normalize(model.embed([folder / name for name in names], POOLED)).numpy()
    return unit, np.asarray(source.labels), names


def _accuracy(
    features: FloatArray,
    classes: IntArray,
    is_named: IntArray,
    of_test: FloatArray,
    classes_of_test: IntArray,
) -> dict[str, float]:
    """Of a ridge classifier, its ridge chosen on the named images alone, leaving one out."""
    mean = features.mean(axis=0)
    model = RidgeClassifierCV(ALPHAS).fit(features[is_named] - mean, classes[is_named])
    right = model.predict(of_test - mean) == classes_of_test
    per_class = [right[classes_of_test == each].mean() for each in np.unique(classes_of_test)]
    return {"accuracy": float(right.mean()), "balanced": float(np.mean(per_class))}


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--test", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--labels", type=Path, nargs="+", required=True, metavar="FILE")
    given = parser.parse_args(argv)
    write_json(given.run / FILE, scores_of(given.run, given.test, given.labels))


if __name__ == "__main__":
    main()
