"""Inference with a trained network: features and clusters of new images, and tables of them."""

from odc_lightning.inference.model import TrainedModel, load
from odc_lightning.inference.network import EMBEDDING, TrainedNetwork
from odc_lightning.inference.reference import Neighbours, Reference, reference_of
from odc_lightning.inference.run_clusters import Assigned, RunClusters

__all__ = [
    "EMBEDDING",
    "Assigned",
    "Neighbours",
    "Reference",
    "RunClusters",
    "TrainedModel",
    "TrainedNetwork",
    "load",
    "reference_of",
]
