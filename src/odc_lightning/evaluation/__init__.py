"""Scores of what has been learned: of the features, and of the clusters."""

from odc_lightning.evaluation.average_precision import average_precisions, voc_average_precision
from odc_lightning.evaluation.clustering_scores import (
    adjusted_mutual_information,
    adjusted_rand_index,
    cluster_entropy,
    clustering_scores,
    hungarian_accuracy,
    normalized_mutual_information,
    purity,
)
from odc_lightning.evaluation.feature_rank import effective_rank
from odc_lightning.evaluation.fine_tuning import FineTuning
from odc_lightning.evaluation.frozen import FrozenFeatures
from odc_lightning.evaluation.knn import knn_accuracies, knn_accuracy, knn_predict
from odc_lightning.evaluation.linear import LinearProbes
from odc_lightning.evaluation.low_shot import low_shot_scores
from odc_lightning.evaluation.pooling import pool_maps
from odc_lightning.evaluation.probe import LinearProbe
from odc_lightning.evaluation.scores import Evaluation, Score
from odc_lightning.evaluation.svm import svm_scores

__all__ = [
    "Evaluation",
    "FineTuning",
    "FrozenFeatures",
    "LinearProbe",
    "LinearProbes",
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
    "pool_maps",
    "purity",
    "svm_scores",
    "voc_average_precision",
]
