"""Building parts from a run's config, whose errors name the config."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import nn

from odc_lightning.utils.errors import without_wrapper
from odc_lightning.utils.text import first_line

# A network of this size is built without comparing it with its checkpoint.
MIN_BYTES = 2**26


def build(part: Any, what: str) -> Any:
    """The object that a part of a run's config describes.

    Args:
        part: a config with a ``_target_``; check it first, see `refuse_unknown_targets`.
        what: the part and its file, for the message.

    Raises:
        ValueError: it cannot be built.
    """
    if not isinstance(part, DictConfig) or part.get("_target_") is None:
        raise ValueError(f"{what} cannot be built: expected a mapping with a _target_")
    with building(what):
        return instantiate(part)


@contextmanager
def building(what: str) -> Iterator[None]:
    """Turn every error of the body into a ValueError that names the config.

    A damaged setting can make the constructors of torch and torchvision raise errors of any type.
    Errors of the disk keep their type.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        cause = without_wrapper(error)
        if isinstance(cause, OSError):
            raise cause from error
        kind = "" if isinstance(cause, ValueError | ImportError) else f"{type(cause).__name__}: "
        text = str(cause) if isinstance(cause, ValueError) else first_line(cause)
        raise ValueError(f"{what} cannot be built: {kind}{text}") from error


def refuse_oversized(make: Callable[[], Sequence[nn.Module]], checkpoint: Path, what: str) -> None:
    """Refuse parts of a network that need far more memory than the checkpoint has weights.

    Args:
        make: builds the parts; it is called on the device ``meta``, which allocates nothing.
        checkpoint: of a run, which has all of their weights.
        what: the parts and their file, for the message.

    Raises:
        ValueError: the parts are too large.
    """
    try:
        with torch.device("meta"):
            parts = make()
    except NotImplementedError:  # a network of timm that computes with its own weights
        return
    needed = sum(
        value.numel() * value.element_size()
        for part in parts
        for value in part.state_dict().values()
    )
    size = checkpoint.stat().st_size
    if needed > MIN_BYTES + 2 * size:
        raise ValueError(
            f"{what} describes a network of {needed / 1e6:,.0f} MB, but {checkpoint} has "
            f"{size / 1e6:,.1f} MB: they do not belong together; restore the config from a copy"
        )
