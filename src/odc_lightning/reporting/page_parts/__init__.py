"""Shared parts of the HTML pages: style, scripts, pieces of HTML, and their loader."""

from odc_lightning.reporting.page_parts.assets import (
    page_file,
    page_scripts,
    page_style,
    page_template,
)

__all__ = ["page_file", "page_scripts", "page_style", "page_template"]
