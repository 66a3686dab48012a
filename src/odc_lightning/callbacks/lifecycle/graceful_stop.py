"""Graceful stop on SIGTERM, Ctrl-C and the signals of SLURM and submitit."""

import logging
import os
import signal
import subprocess
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.environments import SLURMEnvironment

from odc_lightning.utils.distributed import largest_over_ranks, world

log = logging.getLogger(__name__)


class GracefulStop(pl.Callback):
    """Ends a run between two steps after a signal, with a checkpoint of the last step.

    Lightning's handlers would save in the middle of a step and let ranks broadcast out of order;
    these handlers only record the signal. A second signal ends the process at once. Several ranks
    all stop after the same step, no matter which of them got the signal.
    """

    def __init__(self, every_n_steps: int = 10) -> None:
        """Set how often several ranks exchange signals; a single rank checks after each step.

        Args:
            every_n_steps: optimiser steps between two exchanges.

        Raises:
            ValueError: if `every_n_steps` is less than 1.
        """
        if every_n_steps < 1:
            raise ValueError(
                f"callbacks.graceful_stop.every_n_steps={every_n_steps}; expected 1 or more"
            )
        self.every_n_steps = every_n_steps
        self._received = 0  # the number of the first signal
        self._leaving = 0  # the same number, once all ranks know it
        self._requeue_signal: int | None = None
        self._submitit_signal: int | None = None
        self._former: dict[int, Any] = {}
        self._steps = 0  # optimiser steps after which signals were checked

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Install the signal handlers; Python allows this in the main thread only."""
        self._steps = trainer.global_step
        if threading.current_thread() is not threading.main_thread():
            return
        self._received = self._leaving = 0
        signals = [signal.SIGTERM, signal.SIGINT]
        if SLURMEnvironment.detect():
            self._requeue_signal = requeue_signal(trainer)
            signals += [signal.Signals(self._requeue_signal)] if self._requeue_signal else []
        self._submitit_signal = _submitit_signal()
        if self._submitit_signal is not None:
            signals.append(signal.Signals(self._submitit_signal))
        self._former = {number: signal.signal(number, self._note) for number in signals}
        # Lightning exchanges SIGTERM before each step, and the host waits for the answer.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]

    @property
    def late(self) -> int:
        """SIGTERM or SIGINT if it arrived in the last step of a finished run; else 0.

        For a submitit job this is always 0, because its process runs no further job.
        """
        if self._submitit_signal is not None:
            return 0
        return self._received if self._received in (signal.SIGTERM, signal.SIGINT) else 0

    def on_train_epoch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Exit if a signal came in the last step of the previous epoch.

        Raises:
            SystemExit: as in `on_train_batch_start`.
        """
        self._leave_if_asked(trainer)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Exit if a signal came, now that the previous step is saved and logged.

        Raises:
            SystemExit: with 128 plus the number of the signal, as shells report it.
        """
        self._leave_if_asked(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Save if a signal has come; after the last step of an epoch `on_train_epoch_end` saves.

        Nothing is saved between two batches of one step, because a checkpoint has no accumulated
        gradients.
        """
        if trainer.global_step == self._steps:
            return
        self._steps = trainer.global_step
        received = self._received or (signal.SIGTERM if trainer.received_sigterm else 0)
        if world()[1] > 1:
            if trainer.global_step % self.every_n_steps:
                return
            received = largest_over_ranks(received, trainer.strategy.root_device)
        self._leaving = received
        if not trainer.is_last_batch:
            self._save_if_asked(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Save if a signal came in the last step of the epoch."""
        self._save_if_asked(trainer)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Restore the previous signal handlers."""
        for number, handler in self._former.items():
            if signal.getsignal(number) == self._note:  # Lightning may have restored it already
                signal.signal(number, handler)
        self._former = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._received:  # the second signal
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._received = number

    def _save_if_asked(self, trainer: pl.Trainer) -> None:
        file = _last_checkpoint(trainer)
        if self._leaving and file is not None:
            trainer.save_checkpoint(file)

    def _leave_if_asked(self, trainer: pl.Trainer) -> None:
        if not self._leaving:
            return
        for logger in trainer.loggers:
            logger.save()
        if trainer.is_global_zero:
            self._say_where(trainer)
            if self._leaving == self._requeue_signal:
                _requeue()
        if self._leaving == self._submitit_signal:  # submitit requeues the job, and exits
            self._former[self._leaving](self._leaving, None)
        raise SystemExit(128 + self._leaving)

    def _say_where(self, trainer: pl.Trainer) -> None:
        name, file = signal.Signals(self._leaving).name, _last_checkpoint(trainer)
        where = "nothing is saved, because the run has no ModelCheckpoint"
        if file is not None:
            where = (
                f"the run is saved in {file}; to resume, add train.resume=auto "
                f"hydra.run.dir={file.parents[1]} to the command"
            )
        log.warning("%s: stopped after step %d; %s", name, trainer.global_step, where)


def _last_checkpoint(trainer: pl.Trainer) -> Path | None:
    """Path of the run's last checkpoint; None if the run writes no checkpoints."""
    folder = getattr(trainer.checkpoint_callback, "dirpath", None)
    return None if folder is None else Path(folder) / "last.ckpt"


def requeue_signal(trainer: pl.Trainer) -> int | None:
    """The signal by which SLURM announces a job's time limit; None if the job is not requeued."""
    environment = _cluster_environment(trainer)
    if isinstance(environment, SLURMEnvironment) and not environment.auto_requeue:
        return None
    chosen = getattr(environment, "requeue_signal", None)
    return int(chosen or signal.SIGUSR1)


def _cluster_environment(trainer: pl.Trainer) -> Any:
    """Lightning's cluster environment, or None if Lightning has none.

    It is public only in strategies for several devices.
    """
    public = getattr(trainer.strategy, "cluster_environment", None)
    connector = getattr(trainer, "_accelerator_connector", None)
    return public or getattr(connector, "cluster_environment", None)


def _submitit_signal() -> int | None:
    """The signal by which submitit announces preemption or a job's time limit; None without it."""
    if "SUBMITIT_EXECUTOR" not in os.environ:
        return None
    name = os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2")
    number = signal.Signals[f"SIG{name}"]
    return int(number) if callable(signal.getsignal(number)) else None


def _requeue() -> None:
    """Ask SLURM to requeue this job; a failure is logged."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ["SLURM_JOB_ID"]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        log.warning("the job could not be requeued: scontrol requeue %s: %s", job, error)
