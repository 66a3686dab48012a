"""Callbacks, the plug-ins of training: one per file, in the order of `order`."""

from odc_lightning.callbacks.baselines.colorization import Colorization
from odc_lightning.callbacks.baselines.jigsaw import Jigsaw
from odc_lightning.callbacks.baselines.offline_clustering import OfflineClustering
from odc_lightning.callbacks.baselines.pretext import Pretext
from odc_lightning.callbacks.baselines.prototype_clustering import PrototypeClustering
from odc_lightning.callbacks.baselines.rotation import Rotation
from odc_lightning.callbacks.baselines.true_labels import TrueLabels
from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.lifecycle.finite_check import FiniteCheck
from odc_lightning.callbacks.lifecycle.graceful_stop import GracefulStop
from odc_lightning.callbacks.lifecycle.index_table import IndexTable
from odc_lightning.callbacks.lifecycle.keep_best import KeepBest
from odc_lightning.callbacks.lifecycle.replica_check import ReplicaCheck
from odc_lightning.callbacks.lifecycle.run_checkpoint import RunCheckpoint
from odc_lightning.callbacks.monitors.cluster_media import ClusterMedia
from odc_lightning.callbacks.monitors.cluster_size_monitor import ClusterSizeMonitor
from odc_lightning.callbacks.monitors.feature_rank import FeatureRank
from odc_lightning.callbacks.monitors.health_monitor import HealthMonitor
from odc_lightning.callbacks.monitors.label_scores import LabelScores
from odc_lightning.callbacks.monitors.label_switch_monitor import LabelSwitchMonitor
from odc_lightning.callbacks.monitors.online_probe import OnlineProbe
from odc_lightning.callbacks.monitors.progress import Progress
from odc_lightning.callbacks.monitors.throughput import Throughput
from odc_lightning.callbacks.odc.balanced_clusters import BalancedClusters
from odc_lightning.callbacks.odc.centroid_refresh import CentroidRefresh
from odc_lightning.callbacks.odc.current_targets import CurrentTargets
from odc_lightning.callbacks.odc.kmeans_bootstrap import KMeansBootstrap
from odc_lightning.callbacks.odc.loss_reweighting import LossReweighting
from odc_lightning.callbacks.odc.named_clusters import NamedClusters
from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.callbacks.odc.small_clusters import SmallClusters
from odc_lightning.callbacks.order import check_order, in_order
from odc_lightning.callbacks.pseudo_labels import PseudoLabels

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
    "KeepBest",
    "LabelScores",
    "LabelSwitchMonitor",
    "LossReweighting",
    "NamedClusters",
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
