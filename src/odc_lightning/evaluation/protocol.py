"""What every protocol of the evaluation offers."""

from abc import ABC, abstractmethod

from odc_lightning.evaluation.network import EvaluatedNetwork
from odc_lightning.metrics.scores import Score


class Protocol(ABC):
    """A way to measure a network: it asks the `EvaluatedNetwork` for features and gives `Score`s.

    Attributes:
        name: of the config key and in tables.
        uses_trainer: whether all ranks take part in it; the others are for rank 0 alone.
    """

    name: str
    uses_trainer: bool = False

    def skip_reason(self, network: EvaluatedNetwork) -> str | None:
        """Why the protocol does not apply to these data; None if it does."""
        return None

    def layers(self, network: EvaluatedNetwork) -> tuple[str, ...]:
        """Layers whose features it will ask for, so that one pass over the images gets them all."""
        return ()

    @abstractmethod
    def __call__(self, network: EvaluatedNetwork) -> list[Score]:
        """Measure."""


def needs_one_class_each(network: EvaluatedNetwork) -> str | None:
    """A reason not to run a protocol that compares predicted classes."""
    if network.images["train"].labels is None:
        return "it needs images of one class each, and these show several things"
    if network.images["train"].num_classes < 2:
        return "it needs at least two classes, and all labelled images are of one"
    return None
