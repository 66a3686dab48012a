"""What a run leaves for people to look at: tables, curves, a summary and the last lines printed."""

from odc_lightning.report.closing import closing_lines, format_duration
from odc_lightning.report.curves import draw_curves
from odc_lightning.report.metrics import Series, read_metrics
from odc_lightning.report.summary import Scores, Summary, package_versions, write_summary
from odc_lightning.report.tables import write_clusters, write_index_table

__all__ = [
    "Scores",
    "Series",
    "Summary",
    "closing_lines",
    "draw_curves",
    "format_duration",
    "package_versions",
    "read_metrics",
    "write_clusters",
    "write_index_table",
    "write_summary",
]
