"""The first answer: clusters of the pretrained network, before anything is trained."""

import logging
import time
from pathlib import Path

import pytorch_lightning as pl
from omegaconf import DictConfig

from odc_lightning.callbacks.lifecycle.cluster_page import PAGE, try_page
from odc_lightning.callbacks.monitors.label_scores import labels_of, nmi_of
from odc_lightning.callbacks.odc.frozen_clusters import FrozenClusters, cluster_frozen
from odc_lightning.module import ODCModule
from odc_lightning.runs.frozen_run import frozen_config, write_frozen_run
from odc_lightning.utils.distributed import from_rank_zero

log = logging.getLogger(__name__)

START = "start"  # the folder in that of the run
ITERATIONS = 20  # of K-Means, as in the bootstrap


class FirstAnswer(pl.Callback):
    """Clusters the images by the frozen network's features, and writes a run's folder and a page.

    This is done before the first step, and nothing of the training depends on it.
    """

    def __init__(self, config: DictConfig, started: float, only: bool = False) -> None:
        """Keep the settings.

        Args:
            config: of the run, resolved.
            started: ``time.monotonic()`` of the command's start.
            only: end the run after the first answer.
        """
        self.config = config
        self.started = started
        self.only = only

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Cluster on all ranks, and write on rank 0."""
        module = ODCModule.of(pl_module)
        run_dir = Path(self.config.run_dir)
        found = cluster_frozen(trainer, module, run_dir, ITERATIONS, self.config.seed)
        from_rank_zero(lambda: self._write(trainer, module, found))
        if self.only:
            trainer.fit_loop.max_epochs = 0

    def _write(self, trainer: pl.Trainer, module: ODCModule, found: FrozenClusters) -> None:
        source = trainer.datamodule.train_dataset.source  # type: ignore[attr-defined]
        names = [source.name(index) for index in range(len(source))]
        folder, memory = Path(self.config.run_dir, START), found.memory
        truth = labels_of(trainer, "train")
        write_frozen_run(
            frozen_config(self.config, folder),
            module.backbone.state_dict(),
            found.mean,
            memory,
            names,
            None if truth is None else nmi_of(memory.labels, truth),
            time.monotonic() - self.started,
        )
        title = f"{self.config.name}: before training"
        if page := try_page(source, memory, folder / PAGE, title):
            log.info(
                "clusters of the pretrained network, after %.0f s: %s",
                time.monotonic() - self.started,
                page,
            )
