"""The plug-ins: one callback a file, their order in `order`."""

from odc_lightning.callbacks.balanced_clusters import BalancedClusters
from odc_lightning.callbacks.centroid_refresh import CentroidRefresh
from odc_lightning.callbacks.cluster_media import ClusterMedia
from odc_lightning.callbacks.cluster_size_monitor import ClusterSizeMonitor
from odc_lightning.callbacks.colorization import Colorization
from odc_lightning.callbacks.current_targets import CurrentTargets
from odc_lightning.callbacks.feature_rank import FeatureRank
from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.finite_check import FiniteCheck
from odc_lightning.callbacks.graceful_stop import GracefulStop
from odc_lightning.callbacks.health_monitor import HealthMonitor
from odc_lightning.callbacks.index_table import IndexTable
from odc_lightning.callbacks.jigsaw import Jigsaw
from odc_lightning.callbacks.kmeans_bootstrap import KMeansBootstrap
from odc_lightning.callbacks.label_scores import LabelScores
from odc_lightning.callbacks.label_switch_monitor import LabelSwitchMonitor
from odc_lightning.callbacks.loss_reweighting import LossReweighting
from odc_lightning.callbacks.offline_clustering import OfflineClustering
from odc_lightning.callbacks.online_probe import OnlineProbe
from odc_lightning.callbacks.order import check_order, in_order
from odc_lightning.callbacks.pretext import Pretext
from odc_lightning.callbacks.progress import Progress
from odc_lightning.callbacks.prototype_clustering import PrototypeClustering
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.callbacks.replica_check import ReplicaCheck
from odc_lightning.callbacks.rotation import Rotation
from odc_lightning.callbacks.run_checkpoint import RunCheckpoint
from odc_lightning.callbacks.samples_memory import SamplesMemory
from odc_lightning.callbacks.small_clusters import SmallClusters
from odc_lightning.callbacks.throughput import Throughput
from odc_lightning.callbacks.true_labels import TrueLabels

__all__ = [
    "BalancedClusters",
    "CentroidRefresh",
    "ClusterMedia",
    "ClusterSizeMonitor",
    "Colorization",
    "CurrentTargets",
    "FeatureRank",
    "FiniteCheck",
    "GracefulStop",
    "HealthMonitor",
    "IndexTable",
    "Jigsaw",
    "KMeansBootstrap",
    "LabelScores",
    "LabelSwitchMonitor",
    "LossReweighting",
    "OfflineClustering",
    "OnlineProbe",
    "Pretext",
    "Progress",
    "PrototypeClustering",
    "PseudoLabels",
    "ReplicaCheck",
    "Rotation",
    "RunCheckpoint",
    "SamplesMemory",
    "SmallClusters",
    "Throughput",
    "TrueLabels",
    "check_order",
    "find",
    "in_order",
]
