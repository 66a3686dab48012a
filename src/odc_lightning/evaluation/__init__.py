"""Scores of what has been learned: of the features, and of the clusters."""

from odc_lightning.evaluation.clustering_scores import (
    cluster_entropy,
    normalized_mutual_information,
)
from odc_lightning.evaluation.knn import knn_accuracy, knn_predict

__all__ = ["cluster_entropy", "knn_accuracy", "knn_predict", "normalized_mutual_information"]
