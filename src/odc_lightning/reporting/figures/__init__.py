"""Figures of runs, sweeps and evaluations, and sheets of clusters."""

from odc_lightning.reporting.figures.cluster_rows import ClusterRow, choose_rows, read_rows
from odc_lightning.reporting.figures.cluster_sheet import draw_sheet, draw_strips
from odc_lightning.reporting.figures.curves import draw_curves
from odc_lightning.reporting.figures.losses import draw_losses
from odc_lightning.reporting.figures.low_shot import draw_low_shot
from odc_lightning.reporting.figures.stability import draw_stability
from odc_lightning.reporting.figures.sweep import SweepPanel, draw_sweeps
from odc_lightning.reporting.figures.sweep_points import SCORES, Point, read_sweep

__all__ = [
    "SCORES",
    "ClusterRow",
    "Point",
    "SweepPanel",
    "choose_rows",
    "draw_curves",
    "draw_losses",
    "draw_low_shot",
    "draw_sheet",
    "draw_stability",
    "draw_strips",
    "draw_sweeps",
    "read_rows",
    "read_sweep",
]
