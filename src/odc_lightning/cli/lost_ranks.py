"""One-line messages for errors of a training on several ranks."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
from torch.multiprocessing.spawn import ProcessException, ProcessRaisedException


@contextmanager
def report_lost_ranks(trainer: pl.Trainer, run_dir: Path) -> Iterator[None]:
    """Report in one line that a rank died, or why this package stopped a ``ddp_spawn`` process.

    Args:
        trainer: the trainer that runs in the body.
        run_dir: the run's folder, for the command that resumes.

    Raises:
        ValueError: replaces torch's error, which names neither cause nor remedy.
    """
    try:
        yield
    except ProcessException as error:  # from ddp_spawn
        raise ValueError(refusal_of_rank(error) or lost_rank(trainer, run_dir)) from error
    except RuntimeError as error:
        if not is_lost_rank(error):
            raise
        raise ValueError(lost_rank(trainer, run_dir)) from error


def lost_rank(trainer: pl.Trainer, run_dir: Path) -> str:
    """The message about a rank that died, with the command that resumes."""
    return (
        f"rank {trainer.global_rank} has lost another rank, which died; see its message above, or "
        "the system log if it was killed (out of memory?). To resume from the last checkpoint, "
        f"add train.resume=auto hydra.run.dir={run_dir}"
    )


def is_lost_rank(error: BaseException) -> bool:
    """Whether a collective failed because another process died."""
    lost = r"Connection (closed|reset) by peer|Broken pipe|remote process exited|NCCL.*abort"
    return isinstance(error, RuntimeError) and re.search(lost, str(error)) is not None


def refusal_of_rank(error: ProcessException) -> str | None:
    """The message of a ValueError that this package raised in a process of ``ddp_spawn``.

    Returns:
        None if the process died without a message, or because it lost another one.

    Raises:
        ProcessException: any other error; its text contains the traceback.
    """
    if not isinstance(error, ProcessRaisedException):
        return None
    traceback, _, message = str(error).rpartition("\nValueError: ")
    last_file = traceback.rpartition('File "')[2].partition('"')[0]
    if message and "odc_lightning" in Path(last_file).parts:
        return message.strip()
    if is_lost_rank(RuntimeError(str(error))):
        return None
    raise error
