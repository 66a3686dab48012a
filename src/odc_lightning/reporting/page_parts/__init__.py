"""What the pages for a browser share: style, scripts, pieces of HTML, and how they are read."""

from odc_lightning.reporting.page_parts.assets import page_scripts, page_style, page_template

__all__ = ["page_scripts", "page_style", "page_template"]
