"""The steps whose numbers reach the loggers."""

import pytorch_lightning as pl


def is_logged(trainer: pl.Trainer | None) -> bool:
    """Whether to log numbers of this step: every ``log_every_n_steps``-th, and the last.

    Lightning would drop those of other steps, after it has taken half a millisecond for each. The
    last step of an epoch or of the run is the line that the run prints. Without a trainer there is
    no log.
    """
    if trainer is None:
        return False
    steps = trainer.fit_loop.epoch_loop._batches_that_stepped + 1
    is_last = trainer.is_last_batch or 0 < trainer.max_steps <= steps
    return is_last or trainer._logger_connector.should_update_logs
