"""The callbacks that do something in a step of ODC."""

import pytorch_lightning as pl

from odc_lightning import callbacks


def step_callbacks() -> list[pl.Callback]:
    """Those of the algorithm and the monitors, without `FiniteCheck`; in no order."""
    return [
        callbacks.SamplesMemory(),
        callbacks.KMeansBootstrap(),
        callbacks.LossReweighting(),
        callbacks.CentroidRefresh(2),
        callbacks.SmallClusters(2),
        callbacks.LabelSwitchMonitor(),
        callbacks.ClusterSizeMonitor(),
        callbacks.FeatureRank(),
        callbacks.HealthMonitor(),
        callbacks.GracefulStop(),
        callbacks.Throughput(),
    ]
