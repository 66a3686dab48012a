"""Scores of features and of clusters; no Lightning here."""

from odc_lightning.metrics.average_precision import average_precisions, voc_average_precision
from odc_lightning.metrics.clustering_scores import (
    adjusted_mutual_information,
    adjusted_rand_index,
    cluster_entropy,
    clustering_scores,
    hungarian_accuracy,
    normalized_mutual_information,
    purity,
)
from odc_lightning.metrics.feature_rank import effective_rank
from odc_lightning.metrics.knn import knn_accuracies, knn_accuracy, knn_predict
from odc_lightning.metrics.low_shot import low_shot_scores
from odc_lightning.metrics.low_shot_settings import LowShotSettings
from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.metrics.svm import svm_scores

__all__ = [
    "Evaluation",
    "LowShotSettings",
    "Score",
    "adjusted_mutual_information",
    "adjusted_rand_index",
    "average_precisions",
    "cluster_entropy",
    "clustering_scores",
    "effective_rank",
    "hungarian_accuracy",
    "knn_accuracies",
    "knn_accuracy",
    "knn_predict",
    "low_shot_scores",
    "normalized_mutual_information",
    "purity",
    "svm_scores",
    "voc_average_precision",
]
