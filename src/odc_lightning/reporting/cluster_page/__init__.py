"""The clusters of a run: an HTML page, a contact sheet, tables, and folders of images."""

from odc_lightning.reporting.cluster_page.build import (
    THUMBNAILS,
    ClusterPage,
    PageSettings,
    Timed,
    build_cluster_page,
)
from odc_lightning.reporting.cluster_page.page_data import ToName
from odc_lightning.reporting.cluster_page.sorting import (
    Sorting,
    cluster_folders,
    named_folders,
    plan_sorting,
    sort_images,
)
from odc_lightning.runs.clustered_images import ClusteredImages, read_clusters

__all__ = [
    "THUMBNAILS",
    "ClusterPage",
    "ClusteredImages",
    "PageSettings",
    "Sorting",
    "Timed",
    "ToName",
    "build_cluster_page",
    "cluster_folders",
    "named_folders",
    "plan_sorting",
    "read_clusters",
    "sort_images",
]
