"""The protocols of the evaluation, each a plug-in that measures a network in one way."""

from odc_lightning.protocols.clustering import Clustering
from odc_lightning.protocols.knn import KNN
from odc_lightning.protocols.linear import Linear
from odc_lightning.protocols.low_shot import LowShot
from odc_lightning.protocols.protocol import Protocol
from odc_lightning.protocols.semi_supervised import SemiSupervised
from odc_lightning.protocols.subject import Subject
from odc_lightning.protocols.svm import SVM

__all__ = [
    "KNN",
    "SVM",
    "Clustering",
    "Linear",
    "LowShot",
    "Protocol",
    "SemiSupervised",
    "Subject",
]
