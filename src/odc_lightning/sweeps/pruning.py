"""Trials of a search that promise too little end early."""

import logging
import math
from typing import Any, Protocol

import pytorch_lightning as pl

log = logging.getLogger(__name__)

PRUNED = "pruned_after_epoch"  # a note at the trial


class Reports(Protocol):
    """Optuna's trial, as far as it is told of here."""

    @property
    def user_attrs(self) -> dict[str, Any]:
        """What was noted before, also before a kill."""

    def report(self, value: float, step: int) -> None:
        """Take the objective after an epoch."""

    def should_prune(self) -> bool:
        """Whether it is not worth going on."""

    def set_user_attr(self, key: str, value: Any) -> None:
        """Note something that lasts."""


class Pruning(pl.Callback):
    """Tells a trial the objective after each epoch, and ends the run if the trial's pruner says so.

    The checkpoint of the epoch is written after that. So a run that is killed in between does the
    epoch again, and tells the same.
    """

    def __init__(self, trial: Reports, objective: str) -> None:
        """Take the trial, and the name of the metric."""
        self.trial = trial
        self.objective = objective

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do not go on with a run that was killed after it had been told to stop."""
        pruned = self.trial.user_attrs.get(PRUNED)
        if pruned is not None and trainer.current_epoch > pruned:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report, and stop if told to."""
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
