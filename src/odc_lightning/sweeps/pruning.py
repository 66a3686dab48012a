"""Pruning: unpromising trials of a search end early."""

import logging
import math
from typing import Any, Protocol

import pytorch_lightning as pl

log = logging.getLogger(__name__)

PRUNED = "pruned_after_epoch"  # an attribute of the trial


class Reports(Protocol):
    """The part of Optuna's trial that is used here."""

    @property
    def user_attrs(self) -> dict[str, Any]:
        """The stored attributes, also those from before a kill."""

    def report(self, value: float, step: int) -> None:
        """Record the objective after an epoch."""

    def should_prune(self) -> bool:
        """Whether to end the trial."""

    def set_user_attr(self, key: str, value: Any) -> None:
        """Store an attribute in the study."""


class Pruning(pl.Callback):
    """Reports the objective to the trial after each epoch, and ends the run if the pruner says so.

    The checkpoint of the epoch is written afterwards. A run that is killed in between repeats the
    epoch and reports the same value.
    """

    def __init__(self, trial: Reports, objective: str) -> None:
        """Take the trial, and the name of the metric."""
        self.trial = trial
        self.objective = objective

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop a resumed run that was pruned before it was killed."""
        pruned = self.trial.user_attrs.get(PRUNED)
        if pruned is not None and trainer.current_epoch > pruned:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the objective, and stop if the trial is pruned."""
        value = trainer.callback_metrics.get(self.objective)
        if value is None or not math.isfinite(value):
            return
        epoch = trainer.current_epoch
        self.trial.report(float(value), epoch)
        last = epoch + 1 == trainer.max_epochs
        if not last and self.trial.should_prune():
            log.info("pruned after epoch %d: %s is %g", epoch + 1, self.objective, value)
            self.trial.set_user_attr(PRUNED, epoch)
            trainer.should_stop = True
