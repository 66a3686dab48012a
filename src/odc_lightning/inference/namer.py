"""Names for new images, from those that a person gave to the clusters and images of a run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from odc_lightning.inference.model import TrainedModel
from odc_lightning.naming import read_names
from odc_lightning.naming.completed import fit_names
from odc_lightning.utils.arrays import IntArray


class Namer:
    """Names new images of which the classifier of the given names is sure.

    With one name alone there is no classifier, and images get the name of their cluster.
    """

    def __init__(self, model: TrainedModel, labels: Path | str, sure: float, seed: int = 0) -> None:
        """Fit the classifier.

        Args:
            model: of a run with clusters.
            labels: the ``labels.json`` of the run's page.
            sure: least probability of a name.
            seed: of the classifier.

        Raises:
            ValueError: the file cannot be read, or its names are not those of the run.
        """
        self._sure = sure
        names, clusters = model.run.image_names(), model.labels
        if names is None or clusters is None:
            raise ValueError(f"{model.run.folder} has no index.csv, so its images have no names")
        self._given, self._named = read_names(labels, names, clusters.numpy())
        reference = model.reference
        self._classifier = fit_names(
            self._named, reference.features.numpy(), reference.rows_among(names), seed
        )
        self._of_cluster = {cluster: name or "" for cluster, name in self._given.clusters.items()}

    @property
    def facts(self) -> dict[str, Any]:
        """The facts that the names depend on."""
        return {"labels": json.dumps(self._given.as_json(), sort_keys=True), "sure": self._sure}

    def columns(self, features: Tensor, clusters: IntArray) -> dict[str, Any]:
        """Columns ``label``, ``guess`` and ``probability`` of B images.

        A label is empty for rubbish and where the classifier is not sure.

        Args:
            features: (B, D) fp32 of unit length.
            clusters: (B,) of the images.
        """
        if self._classifier is None:
            labels = [self._of_cluster.get(cluster, "") for cluster in clusters.tolist()]
            nothing = np.full(len(labels), np.nan)
            return {"label": labels, "guess": len(labels) * [""], "probability": nothing}
        judged = self._classifier.judge(features.numpy())
        guesses = [self._named.name_of(label) for label in judged.labels.tolist()]
        sure = (judged.certainty() >= self._sure).tolist()
        labels = [guess if is_sure else "" for guess, is_sure in zip(guesses, sure, strict=True)]
        return {"label": labels, "guess": guesses, "probability": judged.probabilities}
