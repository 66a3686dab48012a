"""What a run leaves for people to look at: tables, curves, a summary and the last lines printed."""

from odc_lightning.report.closing import closing_lines, format_duration
from odc_lightning.report.cluster_rows import ClusterRow, choose_rows, read_rows
from odc_lightning.report.cluster_sheet import draw_sheet, draw_strips
from odc_lightning.report.curves import draw_curves
from odc_lightning.report.evaluation_files import read_results, write_results
from odc_lightning.report.evaluation_table import evaluation_table, print_evaluation
from odc_lightning.report.fine_tuning import fine_tuning_tables
from odc_lightning.report.loss_figure import draw_losses
from odc_lightning.report.low_shot_figure import draw_low_shot
from odc_lightning.report.markdown import markdown_table, mean_and_spread
from odc_lightning.report.metrics import Series, read_metrics
from odc_lightning.report.paper_tables import paper_tables, published_table_4
from odc_lightning.report.published import PublishedScore, published_scores
from odc_lightning.report.stability_figure import draw_stability
from odc_lightning.report.summary import (
    Scores,
    Summary,
    package_versions,
    read_summary,
    write_summary,
)
from odc_lightning.report.sweep_figure import SweepPanel, draw_sweeps
from odc_lightning.report.sweep_points import SCORES, Point, read_sweep
from odc_lightning.report.tables import write_clusters, write_index_table

__all__ = [
    "SCORES",
    "ClusterRow",
    "Point",
    "PublishedScore",
    "Scores",
    "Series",
    "Summary",
    "SweepPanel",
    "choose_rows",
    "closing_lines",
    "draw_curves",
    "draw_losses",
    "draw_low_shot",
    "draw_sheet",
    "draw_stability",
    "draw_strips",
    "draw_sweeps",
    "evaluation_table",
    "fine_tuning_tables",
    "format_duration",
    "markdown_table",
    "mean_and_spread",
    "package_versions",
    "paper_tables",
    "print_evaluation",
    "published_scores",
    "published_table_4",
    "read_metrics",
    "read_results",
    "read_rows",
    "read_summary",
    "read_sweep",
    "write_clusters",
    "write_index_table",
    "write_results",
    "write_summary",
]
