"""The mathematics of clustering as pure functions, without Lightning or several processes."""

from odc_lightning.clustering.assign import (
    ASSIGNMENTS,
    Assignment,
    assign,
    nearest,
    scores,
    squared_distances,
)
from odc_lightning.clustering.balance import balancing_offsets
from odc_lightning.clustering.centre import centre
from odc_lightning.clustering.constraints import (
    Constraints,
    choices_of,
    make_constraints,
    unit_labels,
)
from odc_lightning.clustering.global_kmeans import nonempty_kmeans
from odc_lightning.clustering.kmeans import Backend, KMeansResult, kmeans
from odc_lightning.clustering.loss_weights import loss_weights
from odc_lightning.clustering.means import (
    cluster_means,
    cluster_sums,
    means_of_sums,
    to_fixed_point,
)
from odc_lightning.clustering.pca import Moments, Whitening, moments, project_rows, whitening
from odc_lightning.clustering.seeded_kmeans import seeded_kmeans
from odc_lightning.clustering.small_clusters import (
    MovedHalf,
    Relabelling,
    check_num_clusters,
    plan_relabelling,
)
from odc_lightning.clustering.spherical_kmeans import SphericalKMeansResult, spherical_kmeans
from odc_lightning.clustering.two_means import two_means

__all__ = [
    "ASSIGNMENTS",
    "Assignment",
    "Backend",
    "Constraints",
    "KMeansResult",
    "Moments",
    "MovedHalf",
    "Relabelling",
    "SphericalKMeansResult",
    "Whitening",
    "assign",
    "balancing_offsets",
    "centre",
    "check_num_clusters",
    "choices_of",
    "cluster_means",
    "cluster_sums",
    "kmeans",
    "loss_weights",
    "make_constraints",
    "means_of_sums",
    "moments",
    "nearest",
    "nonempty_kmeans",
    "plan_relabelling",
    "project_rows",
    "scores",
    "seeded_kmeans",
    "spherical_kmeans",
    "squared_distances",
    "to_fixed_point",
    "two_means",
    "unit_labels",
    "whitening",
]
