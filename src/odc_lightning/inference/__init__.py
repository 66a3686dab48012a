"""A network that was trained here, for other images than those it was trained on."""

from odc_lightning.inference.model import EMBEDDING, TrainedModel, load, load_run
from odc_lightning.inference.reference import Neighbours, Reference, reference_of
from odc_lightning.inference.run_clusters import Assigned, RunClusters

__all__ = [
    "EMBEDDING",
    "Assigned",
    "Neighbours",
    "Reference",
    "RunClusters",
    "TrainedModel",
    "load",
    "load_run",
    "reference_of",
]
