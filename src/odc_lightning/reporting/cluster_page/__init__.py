"""A run's clusters for people: a page, a contact sheet, tables, and folders of images."""

from odc_lightning.reporting.cluster_page.build import Built, Settings, build_gallery
from odc_lightning.reporting.cluster_page.sorting import plan_sorting, sort_images
from odc_lightning.runs.clustered_images import ClusteredImages, read_clusters

__all__ = [
    "Built",
    "ClusteredImages",
    "Settings",
    "build_gallery",
    "plan_sorting",
    "read_clusters",
    "sort_images",
]
