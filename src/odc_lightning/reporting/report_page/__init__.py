"""A report of runs as one HTML file: ``python -m odc_lightning.report RUN ...``."""

from odc_lightning.reporting.report_page.build import build_report
from odc_lightning.reporting.report_page.find_runs import FoundRun, ReportInputs, find_runs
from odc_lightning.reporting.report_page.settings import Difference, Group, differences, group_seeds
from odc_lightning.reporting.report_page.thinning import Band, band, thin

__all__ = [
    "Band",
    "Difference",
    "FoundRun",
    "Group",
    "ReportInputs",
    "band",
    "build_report",
    "differences",
    "find_runs",
    "group_seeds",
    "thin",
]
