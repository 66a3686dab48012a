"""The guard: the state that a label-free criterion finds best is the one that the run ends with."""

import logging
import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.monitors.epoch_measurement import EpochMeasurement
from odc_lightning.callbacks.monitors.label_scores import LabelScores, is_due, pooled_features
from odc_lightning.callbacks.odc.kmeans_bootstrap import KMeansBootstrap
from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.checkpoints import KEPT, write_checkpoint
from odc_lightning.data.held_back import FEWEST_IMAGES, NUM_VIEWS
from odc_lightning.features.extraction import extract_rows
from odc_lightning.memory import ClusterMemory
from odc_lightning.metrics.adaptation import adaptation_measures, criterion, neighbours_of
from odc_lightning.module import ODCModule
from odc_lightning.utils.distributed import from_rank_zero

log = logging.getLogger(__name__)


class KeepBest(EpochMeasurement):
    """Keep the best state of a run by `criterion`, and put it back at the end.

    A state is the network and the clustering. It is measured before training, every n epochs and
    after the last one, on the images of ``data.held_back`` and on fixed views of them. The start
    counts as a state, so a run never ends with a network that the criterion calls worse. Training
    itself is the same, bit for bit, as without this callback, if it does not end the run before the
    first step (``min_view_retrieval``). With ``final_kmeans`` the kept network's clusters are made
    anew at the end.

    The kept state is in each checkpoint of the run, so that a resumed run ends as one that was
    never stopped. It is also a file of its own, ``best.ckpt``, which the commands prefer to the
    trained state in ``last.ckpt``.

    Attributes:
        kept_epoch: completed epochs of the kept state, 0 for the start; None if nothing is measured
            (without held-back images, or before training).
        kept_criterion, start_criterion: larger is better.
    """

    def __init__(
        self,
        folder: str,
        every_n_epochs: int = 1,
        min_gain: float = 0.02,
        min_view_retrieval: float = 0.0,
        final_kmeans: bool = False,
    ) -> None:
        """Set where and when to keep states.

        Args:
            folder: of the run's checkpoints.
            every_n_epochs: interval in epochs between two measurements.
            min_gain: share by which the criterion must exceed that of the kept state; a smaller
                gain is noise.
            min_view_retrieval: end the run before its first step if the start's share of views that
                find their image is smaller: they hide what tells the images apart, and a network
                that learns to ignore it becomes worse; or the network is too weak to tell. 0 for
                networks without pretraining.
            final_kmeans: cluster the kept network's features of whole images by K-Means at the end,
                as `KMeansBootstrap` does. The samples memory has features of augmented views, from
                several steps.

        Raises:
            ValueError: an argument is out of range.
        """
        if every_n_epochs < 1:
            raise ValueError(f"callbacks.keep_best.every_n_epochs={every_n_epochs}; expected >= 1")
        if min_gain < 0:
            raise ValueError(f"callbacks.keep_best.min_gain={min_gain}; expected 0 or more")
        if not 0 <= min_view_retrieval <= 1:
            raise ValueError(
                f"callbacks.keep_best.min_view_retrieval={min_view_retrieval}; expected a share "
                "from 0 to 1"
            )
        self.file = Path(folder) / KEPT
        self.every_n_epochs = every_n_epochs
        self.min_gain = min_gain
        self.min_view_retrieval = min_view_retrieval
        self.final_kmeans = final_kmeans
        self.kept_epoch: int | None = None
        self.kept_criterion = self.start_criterion = math.nan
        self._start = torch.empty(0)  # (M, K) neighbours of the measured images at the start
        self._kept: dict[str, dict[str, Tensor]] = {}  # network and clusters, in RAM
        self._kept_step = 0
        self._is_back = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Say so if there are too few images to hold some back."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if _guards(trainer) and len(data.held_back_rows) == 0 and trainer.is_global_zero:
            log.info(
                "data.held_back=%g needs %d images; with fewer, all are trained on, and the guard "
                "measures on all",
                data.held_back,
                FEWEST_IMAGES,
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the start, or write the kept state of a resumed run; end it if views hide images."""
        if not _guards(trainer):
            return
        if self.kept_epoch is not None and trainer.global_step > 0:
            self._write(trainer)
            return
        self.kept_epoch, module = None, ODCModule.of(pl_module)
        with self.first():
            measures = self._measure(trainer, module)
        self.start_criterion = criterion(measures)
        for logger in trainer.loggers:
            logger.log_metrics(_logged(measures, self.start_criterion), step=trainer.global_step)
        self._keep(trainer, module, self.start_criterion, trainer.current_epoch)
        if measures["view_retrieval"] < self.min_view_retrieval:
            trainer.should_stop = True
            if trainer.is_global_zero:
                log.warning(
                    "only %.0f %% of the augmented views find their own image among the most "
                    "similar 1 %% (callbacks.keep_best.min_view_retrieval=%g), so nothing "
                    "is trained: the views hide what tells these images apart (try milder ones, "
                    "such as 'data.crop=[0.8,1.0]'), or the network is weak (try another one, or "
                    "callbacks.keep_best.min_view_retrieval=0 to train it all the same)",
                    100 * measures["view_retrieval"],
                    self.min_view_retrieval,
                )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure if the epoch is due, and keep the state if it is better."""
        if not _guards(trainer) or not is_due(trainer, self.every_n_epochs):
            return
        measures = self._measure(trainer, ODCModule.of(pl_module))
        value = criterion(measures)
        pl_module.log_dict(_logged(measures, value))
        if is_better(value, self.kept_criterion, self.min_gain):
            self._keep(trainer, ODCModule.of(pl_module), value, trainer.current_epoch + 1)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the kept state back."""
        self.put_back(trainer, ODCModule.of(pl_module))

    def put_back(self, trainer: pl.Trainer, module: ODCModule) -> None:
        """Put the kept state back once, and let `LabelScores` score it.

        The last checkpoint is written by then, with the trained state, from which a longer run
        continues.
        """
        if self._is_back or self.kept_epoch is None:
            return
        self._is_back = True
        if self._kept_step == trainer.global_step and not self.final_kmeans:
            self._write(trainer)
            return  # it is the last state
        module.to(trainer.strategy.root_device)  # Lightning has moved it to the CPU
        module.load_state_dict(self._kept["network"])
        memory = SamplesMemory.of(trainer).memory
        memory.load_state_dict(self._kept["clusters"])
        bootstrap = find(trainer, KMeansBootstrap)
        if self.final_kmeans and bootstrap is not None:
            bootstrap.cluster(trainer, module, training_views=False)
            self._kept = _state(module, memory)
        self._write(trainer)
        scores = find(trainer, LabelScores)
        if scores is not None:
            scores.last = scores.score(trainer, module)

    def state_dict(self) -> dict[str, Any]:
        """Return the kept state and its criterion; empty before the start is measured."""
        if self.kept_epoch is None:
            return {}
        return {
            "kept_epoch": self.kept_epoch,
            "kept_criterion": self.kept_criterion,
            "start_criterion": self.start_criterion,
            "start_neighbours": self._start,
            "kept_step": self._kept_step,
            "kept": self._kept,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if state_dict:
            self.kept_epoch = state_dict["kept_epoch"]
            self.kept_criterion = state_dict["kept_criterion"]
            self.start_criterion = state_dict["start_criterion"]
            self._start = state_dict["start_neighbours"]
            self._kept_step = state_dict["kept_step"]
            self._kept = state_dict["kept"]

    def _measure(self, trainer: pl.Trainer, module: ODCModule) -> dict[str, float]:
        """The measures of the network, the same on all ranks."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        rows = data.held_back_rows
        own = torch.arange(data.num_samples) if len(rows) == 0 else torch.from_numpy(rows)
        features = pooled_features(trainer, module, "train", "Guard: features")
        views = torch.empty(len(own), NUM_VIEWS, features.shape[1], device=features.device)

        def embed(images: Tensor) -> Tensor:
            return module(images.flatten(0, 1)).unflatten(0, images.shape[:2])

        extract_rows(trainer, module, embed, own.numpy(), views, "Guard: views", views=True)
        own = own.to(features.device)
        if self.kept_epoch is None:
            self._start = from_rank_zero(lambda: neighbours_of(features, own).cpu())
        start = self._start.to(features.device)
        return from_rank_zero(lambda: adaptation_measures(features, views, own, start))

    def _keep(self, trainer: pl.Trainer, module: ODCModule, value: float, epoch: int) -> None:
        """Copy the state to RAM, and write it."""
        self.kept_epoch, self.kept_criterion = epoch, value
        self._kept_step = trainer.global_step
        self._kept = _state(module, SamplesMemory.of(trainer).memory)
        self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        """Write ``best.ckpt``: network and clusters as in a checkpoint, but nothing to resume."""
        content = {
            "state_dict": self._kept["network"],
            "callbacks": {SamplesMemory.of(trainer).state_key: self._kept["clusters"]},
            "epoch": self.kept_epoch,
            "pytorch-lightning_version": pl.__version__,
        }
        from_rank_zero(lambda: write_checkpoint(content, self.file))


def is_better(value: float, kept: float, min_gain: float) -> bool:
    """Whether a state with the criterion ``value`` replaces one with ``kept``.

    NaN, of features that are not finite, is worse than any number.
    """
    return math.isfinite(value) and (not math.isfinite(kept) or value > kept * (1 + min_gain))


def _guards(trainer: pl.Trainer) -> bool:
    """Whether states are measured: ``data.held_back`` is above 0."""
    return bool(getattr(trainer.datamodule, "held_back", 0.0) > 0)  # type: ignore[attr-defined]


def _state(module: ODCModule, memory: ClusterMemory) -> dict[str, dict[str, Tensor]]:
    return {"network": _copied(module.state_dict()), "clusters": _copied(memory.state_dict())}


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies in RAM, which later steps do not change."""
    return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}


def _logged(measures: dict[str, float], value: float) -> dict[str, float]:
    logged = {**measures, "criterion": value}
    return {f"guard/{name}": number for name, number in logged.items()}
