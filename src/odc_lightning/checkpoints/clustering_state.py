"""The clustering in a run's checkpoint: states of callbacks with the clusters of N images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def clustering_states(content: Mapping[str, Any], file: Path) -> list[dict[str, Any]]:
    """The states of callbacks that have ``labels``, int64 (N,), in the order of the checkpoint.

    Args:
        content: of the checkpoint.
        file: its path, for the message.

    Raises:
        ValueError: the labels are not clusters of images.
    """
    callbacks = content.get("callbacks", {})
    values = callbacks.values() if isinstance(callbacks, dict) else ()
    states = [state for state in values if isinstance(state, dict) and "labels" in state]
    for state in states:
        labels = state["labels"]
        is_labels = isinstance(labels, Tensor) and labels.dtype == torch.int64 and labels.ndim == 1
        if not is_labels or not len(labels) or int(labels.min()) < 0:
            raise ValueError(
                f"{file} has labels that are not clusters of images; restore it, or use another "
                "checkpoint of the run"
            )
    return states
