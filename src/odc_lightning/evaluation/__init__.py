"""Evaluation protocols, each a plug-in that measures a network in one way."""

from odc_lightning.evaluation.clustering import Clustering
from odc_lightning.evaluation.knn import KNN
from odc_lightning.evaluation.linear import Linear
from odc_lightning.evaluation.low_shot import LowShot
from odc_lightning.evaluation.network import EvaluatedNetwork
from odc_lightning.evaluation.protocol import Protocol
from odc_lightning.evaluation.semi_supervised import SemiSupervised
from odc_lightning.evaluation.svm import SVM

__all__ = [
    "KNN",
    "SVM",
    "Clustering",
    "EvaluatedNetwork",
    "Linear",
    "LowShot",
    "Protocol",
    "SemiSupervised",
]
