"""Errors that are reported in one line, with the text of the line; all others are bugs."""

import errno
import re
import traceback

from hydra.errors import InstantiationException
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from odc_lightning.data.sources import ImageError
from odc_lightning.utils.text import first_line

# Errors of the machine (permissions, full disks), as opposed to bugs of the program.
_MACHINE_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
_LOST_WORKER = re.compile(r"DataLoader worker \(pid.*\) (is killed by signal|exited unexpectedly)")


def refusal(error: BaseException) -> str | None:
    """The message for the user, if the error is meant for the user.

    Those errors are raised by this package, by the machine, or by a library that was given a wrong
    setting.

    Returns:
        None for a bug, which needs its traceback.
    """
    if isinstance(error, InstantiationException):  # Hydra's wrapper of a constructor's error
        return _of_constructor(error)
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, MisconfigurationException):
        return first_line(error)
    if isinstance(error, OmegaConfBaseException):  # a part of the config that a setting removed
        return f"{error.full_key or 'the config'}: {first_line(error)}"
    if isinstance(error, RuntimeError) and _LOST_WORKER.search(str(error)):
        return (
            f"{first_line(error).rstrip('.')}; the memory or the shared memory is too small for "
            "the dataloader workers (odc doctor checks it)"
        )
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which may not be imported yet
        return (
            f"{first_line(error).partition('. GPU')[0].rstrip('.')}; set "
            "trainer.precision=bf16-mixed, lower data.batch_size and optimizer.lr in proportion, "
            "or use more GPUs, which share the batch"
        )
    if isinstance(error, OSError):
        return str(error) if error.errno in _MACHINE_ERRORS else None
    if isinstance(error, ValueError) and module_of(error).startswith(("odc_lightning", "__main__")):
        return str(error)
    return None


def _of_constructor(error: InstantiationException) -> str | None:
    """The same for an error in the constructor of a config's ``_target_``."""
    if error.__cause__ is not None and not isinstance(error.__cause__, TypeError):
        message = refusal(error.__cause__)
        if message is not None:
            return message
    key = re.search(r"^full_key: (.+)$", str(error), re.M)
    if key is None:
        return None
    argument = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if argument is not None:
        return f"{key[1]} has no setting {argument[1]}; remove it with ~{key[1]}.{argument[1]}"
    if re.search(r"Error locating target|Cannot resolve|Unable to find", str(error)):
        return f"{key[1]}: {first_line(error)}"
    if isinstance(error.__cause__, ValueError):  # of a library's class
        return f"{key[1]} cannot be built: {first_line(error.__cause__)}"
    return None


def module_of(error: BaseException) -> str:
    """The module that raised the error."""
    frames = list(traceback.walk_tb(error.__traceback__))
    return str(frames[-1][0].f_globals.get("__name__", "")) if frames else ""
