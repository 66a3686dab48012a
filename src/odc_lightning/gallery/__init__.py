"""A run's clusters for people: a page, a contact sheet, tables, and folders of images."""

from odc_lightning.gallery.build import Built, Settings, build_gallery
from odc_lightning.gallery.clustered import Clustered, read_clusters
from odc_lightning.gallery.sorting import plan_sorting, sort_images

__all__ = [
    "Built",
    "Clustered",
    "Settings",
    "build_gallery",
    "plan_sorting",
    "read_clusters",
    "sort_images",
]
