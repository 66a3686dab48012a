"""Two finished runs, held against each other, bit for bit."""

import csv
from pathlib import Path
from typing import Any

import torch

# What depends on the clock or on where the run's folder is.
ITS_OWN = ("RunCheckpoint", "Throughput", "Progress")


def assert_equal_runs(one: Path, other: Path) -> None:
    """Every loss, every weight, the optimiser, the schedule and every callback's state."""
    assert losses(one) == losses(other)
    left, right = checkpoint(one), checkpoint(other)
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
        assert_same(left[part], right[part], part)
    one_state, other_state = (
        {key: state for key, state in content["callbacks"].items() if not key.startswith(ITS_OWN)}
        for content in (left, right)
    )
    assert len(one_state) > 1
    assert_same(one_state, other_state, "callbacks")


def assert_same(left: Any, right: Any, where: str) -> None:
    """Deep equality; a message says where it ends."""
    assert type(left) is type(right), where
    if isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype, where
        # NaN is a value like others here: of an epoch without label switches.
        assert torch.equal(left.nan_to_num(7), right.nan_to_num(7)), where
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_same(left[key], right[key], f"{where}.{key}")
    elif isinstance(left, list | tuple):
        assert len(left) == len(right), where
        for number, (mine, its) in enumerate(zip(left, right, strict=True)):
            assert_same(mine, its, f"{where}[{number}]")
    else:
        assert left == right or (left != left and right != right), where


def losses(run: Path) -> list[tuple[str, str]]:
    """Step and loss of each row of ``metrics.csv`` that has one."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["step"], row["train/loss"]) for row in csv.DictReader(file)]
    return [row for row in rows if row[1]]


def checkpoint(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
