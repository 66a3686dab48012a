"""The page of a run's clusters, at the end of its training."""

import shutil
from pathlib import Path

import pytorch_lightning as pl

from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.data import ImageSource
from odc_lightning.memory import ClusterMemory
from odc_lightning.reporting.cluster_page import ClusteredImages, PageSettings, build_cluster_page
from odc_lightning.utils.optional import logged_failure

PAGE = "clusters"  # the folder in that of the run


class FinalPage(pl.Callback):
    """Writes the page of the clusters, if the run has a samples memory."""

    def __init__(self, run_dir: Path, title: str) -> None:
        """Set the run's folder and the page's title."""
        self.folder = run_dir / PAGE
        self.title = title

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the page on rank 0."""
        owner = find(trainer, SamplesMemory)
        if trainer.is_global_zero and owner is not None and owner.initialized:
            source = trainer.datamodule.train_dataset.source  # type: ignore[attr-defined]
            try_page(source, owner.memory, self.folder, self.title)


def try_page(source: ImageSource, memory: ClusterMemory, folder: Path, title: str) -> Path | None:
    """Write the page of a memory's clusters; a failure is logged, for the training is worth more.

    Args:
        source: the N images of the memory.
        memory: their features and clusters.
        folder: of the page; a former page in it is replaced.
        title: of the page.

    Returns:
        The file to open; None after a failure.
    """
    shutil.rmtree(folder, ignore_errors=True)
    clustered = ClusteredImages(
        source,
        memory.labels.cpu().numpy(),
        memory.features.cpu(),
        memory.centroids.float().cpu(),
    )
    with logged_failure(f"the page {folder}"):
        build_cluster_page(clustered, folder, PageSettings(title, run=folder.parent))
        return folder / "index.html"
    return None
