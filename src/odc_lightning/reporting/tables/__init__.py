"""Tables of scores, beside the published ones."""

from odc_lightning.reporting.tables.evaluation_table import evaluation_table, print_evaluation
from odc_lightning.reporting.tables.fine_tuning import fine_tuning_tables
from odc_lightning.reporting.tables.markdown import markdown_table, mean_and_spread
from odc_lightning.reporting.tables.paper_tables import paper_tables, published_table_4
from odc_lightning.reporting.tables.published import PublishedScore, published_scores

__all__ = [
    "PublishedScore",
    "evaluation_table",
    "fine_tuning_tables",
    "markdown_table",
    "mean_and_spread",
    "paper_tables",
    "print_evaluation",
    "published_scores",
    "published_table_4",
]
