"""A network that was trained here, for other images than those it was trained on."""

from odc_lightning.trained.clusters import Assigned, RunClusters
from odc_lightning.trained.model import EMBEDDING, TrainedModel, load, load_run
from odc_lightning.trained.own_images import own_images
from odc_lightning.trained.reference import Neighbours, Reference, reference_of

__all__ = [
    "EMBEDDING",
    "Assigned",
    "Neighbours",
    "Reference",
    "RunClusters",
    "TrainedModel",
    "load",
    "load_run",
    "own_images",
    "reference_of",
]
