"""Pure functions of the clustering; no Lightning and no processes here."""

from odc_lightning.clustering.assign import Assignment, assign, nearest, squared_distances
from odc_lightning.clustering.kmeans import Backend, KMeansResult, kmeans
from odc_lightning.clustering.small_clusters import (
    MovedHalf,
    Relabelling,
    check_num_clusters,
    plan_relabelling,
)
from odc_lightning.clustering.spherical_kmeans import SphericalKMeansResult, spherical_kmeans
from odc_lightning.clustering.two_means import two_means
from odc_lightning.clustering.weights import loss_weights

__all__ = [
    "Assignment",
    "Backend",
    "KMeansResult",
    "MovedHalf",
    "Relabelling",
    "SphericalKMeansResult",
    "assign",
    "check_num_clusters",
    "kmeans",
    "loss_weights",
    "nearest",
    "plan_relabelling",
    "spherical_kmeans",
    "squared_distances",
    "two_means",
]
