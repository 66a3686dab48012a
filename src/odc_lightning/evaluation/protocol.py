"""What every protocol of the evaluation offers."""

from abc import ABC, abstractmethod

from odc_lightning.evaluation.subject import Subject
from odc_lightning.metrics.scores import Score


class Protocol(ABC):
    """A way to measure a network: it asks the `Subject` for features and gives `Score`s.

    Attributes:
        name: of the config key and in tables.
        uses_trainer: whether all ranks take part in it; the others are for rank 0 alone.
    """

    name: str
    uses_trainer: bool = False

    def why_not(self, subject: Subject) -> str | None:
        """Why the protocol does not apply to these data; None if it does."""
        return None

    def layers(self, subject: Subject) -> tuple[str, ...]:
        """Layers whose features it will ask for, so that one pass over the images gets them all."""
        return ()

    @abstractmethod
    def __call__(self, subject: Subject) -> list[Score]:
        """Measure."""


def needs_one_class_each(subject: Subject) -> str | None:
    """A reason not to run a protocol that compares predicted classes."""
    if subject.images["train"].labels is None:
        return "it needs images of one class each, and these show several things"
    if subject.images["train"].num_classes < 2:
        return "it needs at least two classes, and all labelled images are of one"
    return None
