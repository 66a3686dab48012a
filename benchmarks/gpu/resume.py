"""Section ``resume``: a run that is stopped within an epoch and resumed is the whole run.

To the bit where cuDNN may use deterministic algorithms only; without that a GPU's convolutions
need not give the same gradients twice, so the other rows only tell how it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.gpu.small import DIGITS, NO_KNN, clusters, run

SETTINGS = (
    *DIGITS,
    NO_KNN,
    "trainer.max_epochs=3",
    "trainer.limit_train_batches=null",
    "trainer.log_every_n_steps=1",
)
CASES = {
    "deterministic": ("trainer.deterministic=true",),
    "plain": (),
    "features in RAM": ("algorithm.samples_memory.place=ram",),
    "16-mixed": ("trainer.precision=16-mixed",),
}
PARTS = ("state_dict", "optimizer_states", "callbacks")
# Callbacks whose state depends on the clock, or on the folder.
OF_A_RUN = ("RunCheckpoint", "Throughput", "Progress")


def measure(dry_run: bool) -> Iterator[Row]:
    """A row for each case; a dry run has the first alone."""
    for name, overrides in list(CASES.items())[: 1 if dry_run else None]:
        must = ["equal to the bit"] if name == "deterministic" else []
        work = partial(resumed, dry_run, *overrides)
        yield attempt("A resumed run and the whole one", name, work, must=must)


def resumed(dry_run: bool, *overrides: str) -> Values:
    """How the last checkpoints of a resumed and of a whole run differ."""
    settings = (*SETTINGS, clusters(dry_run), *overrides)
    stop = 6 if dry_run else 33  # in the second epoch
    at_the_stop = (f"+trainer.max_steps={stop}", f"callbacks.checkpoint.every_n_train_steps={stop}")
    try:
        with tempfile.TemporaryDirectory() as stopped, tempfile.TemporaryDirectory() as whole:
            run(dry_run, stopped, *settings, *at_the_stop)
            run(dry_run, stopped, *settings, "train.resume=auto")
            run(dry_run, whole, *settings)
            one, other = last_checkpoint(stopped), last_checkpoint(whole)
    finally:
        torch.use_deterministic_algorithms(False)
    if one["global_step"] != other["global_step"]:
        raise AssertionError(f"steps: {one['global_step']} and {other['global_step']}")
    differences = {part: largest_difference(one[part], other[part]) for part in PARTS}
    return {
        "steps": one["global_step"],
        **{f"largest difference, {part}": value for part, value in differences.items()},
        "equal to the bit": not any(differences.values()),
    }


def last_checkpoint(folder: str) -> dict[str, Any]:
    """The content of a run's last checkpoint, on the CPU."""
    file = Path(folder, "checkpoints", "last.ckpt")
    content = torch.load(file, map_location="cpu", weights_only=True)
    states = content["callbacks"].items()
    kept = {name: state for name, state in states if not name.startswith(OF_A_RUN)}
    return {**content, "callbacks": kept}


def largest_difference(one: Any, other: Any) -> float:
    """The largest difference of two nested structures of the same keys, over all their tensors."""
    if isinstance(one, Tensor):
        # NaN stands for what has not been measured, in both.
        apart = (one.double() - other.double()).abs().nan_to_num(0)
        return float(apart.max()) if apart.numel() else 0.0
    if isinstance(one, dict):
        return max((largest_difference(one[key], other[key]) for key in one), default=0.0)
    if isinstance(one, list | tuple):
        pairs = zip(one, other, strict=True)
        return max((largest_difference(*pair) for pair in pairs), default=0.0)
    return 0.0
