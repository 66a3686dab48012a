"""Weighted kNN on the backbone's output."""

from collections.abc import Sequence

import torch

from odc_lightning.evaluation.network import EvaluatedNetwork, as_tensor
from odc_lightning.evaluation.protocol import Protocol, needs_one_class_each
from odc_lightning.metrics.knn import knn_accuracies
from odc_lightning.metrics.scores import Score
from odc_lightning.models import POOLED


class KNN(Protocol):
    """The accuracy of a weighted kNN classifier, see `odc_lightning.metrics.knn_predict`.

    Args:
        k: numbers of neighbours; those larger than the training set are left out.
        temperature: of the votes.
        layer: layer whose features are compared.

    Raises:
        ValueError: a number of neighbours or the temperature is not positive.
    """

    name = "knn"

    def __init__(
        self,
        k: Sequence[int] = (10, 20, 100, 200),
        temperature: float = 0.07,
        layer: str = POOLED,
    ) -> None:
        if not k or min(k) < 1:
            raise ValueError(f"protocol.knn.k={list(k)}; expected numbers of neighbours, 1 or more")
        if temperature <= 0:
            raise ValueError(f"protocol.knn.temperature={temperature}; expected more than 0")
        self.k = k
        self.temperature = temperature
        self.layer = layer

    def skip_reason(self, network: EvaluatedNetwork) -> str | None:
        num_images = len(network.images["train"].dataset)
        if num_images < min(self.k):
            return f"it needs at least {min(self.k)} training images, but there are {num_images}"
        return needs_one_class_each(network)

    def layers(self, network: EvaluatedNetwork) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, network: EvaluatedNetwork) -> list[Score]:
        train, val = network.images["train"], network.images["val"]
        bank = network.tensor(self.layer, "train")
        accuracies = knn_accuracies(
            bank,
            torch.from_numpy(train.classes),
            as_tensor(network.features(self.layer, "val")).to(bank.device),
            torch.from_numpy(val.classes),
            ks=[k for k in self.k if k <= len(train.classes)],
            temperature=self.temperature,
        )
        return [
            Score(self.name, self.layer, "top1", accuracy, f"k={k}")
            for k, accuracy in accuracies.items()
        ]
