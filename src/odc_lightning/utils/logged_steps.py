"""The steps whose numbers reach the loggers."""

import pytorch_lightning as pl


def is_logged(trainer: pl.Trainer | None) -> bool:
    """Whether to log numbers of this step: every ``log_every_n_steps``-th, and an epoch's last.

    Lightning would drop those of other steps, after it has taken half a millisecond for each. The
    last step's are the line that a run prints after an epoch. Without a trainer there is no log.
    """
    if trainer is None:
        return False
    return trainer._logger_connector.should_update_logs or trainer.is_last_batch
