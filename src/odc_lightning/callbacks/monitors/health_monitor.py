"""Monitor that warns of the common failures of deep clustering, once each."""

import logging
import math
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.callbacks.baselines.pretext import Pretext
from odc_lightning.callbacks.find import find
from odc_lightning.callbacks.monitors import health_rules
from odc_lightning.callbacks.odc.current_targets import CurrentTargets
from odc_lightning.callbacks.odc.samples_memory import SamplesMemory
from odc_lightning.callbacks.pseudo_labels import PseudoLabels
from odc_lightning.module import ODCModule

log = logging.getLogger(__name__)


class EpochMeans(NamedTuple):
    """Means over the steps of an epoch.

    Attributes:
        loss: `train/loss` of rank 0.
        switch_ratio: `odc/label_switch_ratio`; NaN if labels do not change within an epoch.
        cosine: mean pairwise cosine similarity of the features in a batch of rank 0.
    """

    loss: float
    switch_ratio: float
    cosine: float


class HealthMonitor(pl.Callback):
    """Log the warnings of `health_rules` at the end of each epoch, each kind once per run.

    Sums over an epoch stay on the device and are read at its end, so that no step waits for the
    device. With several ranks, loss and features are those of rank 0.

    Attributes:
        epochs: the means of each completed epoch, also of those before a resume.
        latest: the latest warning of this process; None if there was none.
    """

    def __init__(self) -> None:
        """Start without warnings. There are no settings: the rules hold for every run."""
        self.epochs: list[EpochMeans] = []
        self.latest: str | None = None
        self._sums: Tensor | None = None  # (3,), in the order of EpochMeans
        self._num_steps = 0
        self._rows = 0  # rows of features in a full batch of this rank
        self._warned: list[str] = []  # kinds of warnings that have been logged

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add the batch to the epoch's sums."""
        features = outputs["features"].flatten(1)
        if len(features) < 2:
            return  # a batch of one sample has no pairs
        # Lightning divides the loss by the number of accumulated batches.
        loss = outputs["loss"].detach().float() * trainer.accumulate_grad_batches
        owner = PseudoLabels.find(trainer)
        ratio = None if owner is None else owner.switch_ratio
        switch_ratio = loss.new_full((), math.nan) if ratio is None else ratio
        cosine = health_rules.mean_cosine(features)
        values = torch.stack([loss, switch_ratio, cosine])
        # Sums restored from a checkpoint are on the CPU.
        self._sums = values if self._sums is None else self._sums.to(values.device) + values
        self._num_steps += 1
        self._rows = max(self._rows, len(features))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Apply every rule, and log the warnings of kinds not logged before."""
        if self._sums is None:
            return
        means = EpochMeans(*(self._sums / self._num_steps).tolist())
        self._sums, self._num_steps = None, 0
        self.epochs.append(means)
        module = ODCModule.of(pl_module)
        pretext = Pretext.find(trainer)
        chance = pretext.chance if pretext else module.head.chance(self._rows)
        chance_is_ln_c = pretext is None and chance == math.log(module.num_clusters)
        epochs, steps = trainer.current_epoch + 1, trainer.global_step
        warnings = {
            "loss": health_rules.loss_at_chance(means.loss, module.num_clusters, epochs, steps)
            if chance_is_ln_c
            else health_rules.task_at_chance(means.loss, chance, epochs, steps),
            # With `CurrentTargets` no target is stale, so frequent switching is not a failure.
            "switching": None
            if find(trainer, CurrentTargets)
            else health_rules.switching_not_falling(
                self.epochs[0].switch_ratio, means.switch_ratio, epochs, steps
            ),
            "collapse": health_rules.features_collapsed(means.cosine),
        }
        owner = PseudoLabels.find(trainer)
        if owner is not None:
            sizes = owner.counts
            largest, num_empty = torch.stack([sizes.max(), (sizes == 0).sum()]).tolist()
            num_samples, num_clusters = len(owner.labels), len(sizes)
            warnings["dominant"] = health_rules.dominant_cluster(
                largest, num_samples, num_clusters, isinstance(owner, SamplesMemory)
            )
            if owner.switch_ratio is not None:  # K-Means of a new epoch refills empty clusters
                warnings["empty"] = health_rules.empty_clusters(num_empty, num_clusters)
        for kind, warning in warnings.items():
            if warning is not None and kind not in self._warned:
                self._warned.append(kind)
                self.latest = warning
                if trainer.is_global_zero:
                    log.warning(warning)

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs' means, the current sums, and the kinds already logged."""
        return {
            "epochs": [list(means) for means in self.epochs],
            "given": list(self._warned),
            "sums": self._sums,
            "num_steps": self._num_steps,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self.epochs = [EpochMeans(*means) for means in state_dict["epochs"]]
        self._warned = list(state_dict["given"])
        self._sums, self._num_steps = state_dict["sums"], state_dict["num_steps"]
