"""What a run leaves for people to look at: tables, curves, a summary and the last lines printed."""

from odc_lightning.report.closing import closing_lines, format_duration
from odc_lightning.report.cluster_pictures import draw_sheet, draw_strip, shown_rows
from odc_lightning.report.curves import draw_curves
from odc_lightning.report.evaluation_files import read_results, write_results
from odc_lightning.report.evaluation_table import evaluation_table, print_evaluation
from odc_lightning.report.loss_figure import draw_losses
from odc_lightning.report.low_shot_figure import draw_low_shot
from odc_lightning.report.markdown import markdown_table, mean_and_spread
from odc_lightning.report.metrics import Series, read_metrics
from odc_lightning.report.published import PublishedScore, published_scores
from odc_lightning.report.summary import (
    Scores,
    Summary,
    package_versions,
    read_summary,
    write_summary,
)
from odc_lightning.report.tables import write_clusters, write_index_table

__all__ = [
    "PublishedScore",
    "Scores",
    "Series",
    "Summary",
    "closing_lines",
    "draw_curves",
    "draw_losses",
    "draw_low_shot",
    "draw_sheet",
    "draw_strip",
    "evaluation_table",
    "format_duration",
    "markdown_table",
    "mean_and_spread",
    "package_versions",
    "print_evaluation",
    "published_scores",
    "read_metrics",
    "read_results",
    "read_summary",
    "shown_rows",
    "write_clusters",
    "write_index_table",
    "write_results",
    "write_summary",
]
