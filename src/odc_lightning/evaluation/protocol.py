"""The interface of all evaluation protocols."""

from abc import ABC, abstractmethod

from odc_lightning.evaluation.network import EvaluatedNetwork
from odc_lightning.metrics.scores import Score


class Protocol(ABC):
    """A way to measure a network: asks the `EvaluatedNetwork` for features and returns `Score`s.

    Attributes:
        name: the config key, and the name in tables.
        uses_trainer: whether it runs on all ranks; other protocols run on rank 0 only.
    """

    name: str
    uses_trainer: bool = False

    def skip_reason(self, network: EvaluatedNetwork) -> str | None:
        """Why the protocol does not apply to these data; None if it does."""
        return None

    def layers(self, network: EvaluatedNetwork) -> tuple[str, ...]:
        """The layers whose features it needs; one pass over the images extracts all of them."""
        return ()

    @abstractmethod
    def __call__(self, network: EvaluatedNetwork) -> list[Score]:
        """Measure the network."""


def needs_one_class_each(network: EvaluatedNetwork) -> str | None:
    """The reason to skip a protocol that compares predicted classes; None if it applies."""
    if network.images["train"].labels is None:
        return "it needs images with one class each, but these have several labels"
    if network.images["train"].num_classes < 2:
        return "it needs at least two classes, but all labelled images have the same"
    return None
