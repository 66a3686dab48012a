"""The memory's step while one of N, C, D and B varies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

import torch

from benchmarks.cases import (
    CHECK,
    NUM_SMALL,
    REFRESH,
    UPDATE,
    WEIGHTS,
    Case,
    can_be_small,
    check_all,
    rare_cases,
    step_cases,
)
from benchmarks.tables import Cell, Table
from benchmarks.terms import Size
from benchmarks.timing import in_turns
from benchmarks.versions import REFRESH_EVERY, Obvious, Ours, new_memory
from odc_lightning.utils.room import available_ram

LETTERS = {"samples": "N", "clusters": "C", "dim": "D", "batch": "B", "ranks": "ranks"}
# Columns that `benchmarks.growth_figure` reads.
STEP_MS, FLOOR_MS, OBVIOUS_MS = "step (ms)", "floor (ms)", "obvious step (ms)"
COLUMNS = (
    *(STEP_MS, FLOOR_MS, "step / floor", OBVIOUS_MS, "obvious / step"),
    *(f"{part} (ms)" for part in (UPDATE, WEIGHTS, CHECK, REFRESH)),
    *("refresh, a step's share (ms)", "small clusters (ms)"),
)
NAMES = {"cpu": "CPU", "cuda": "GPU"}


class Point(NamedTuple):
    """The measurements at one size.

    Attributes:
        cells: values of `COLUMNS`.
        seconds: of a step; None if it could not be measured.
        by_few: time of the step divided by that of the memory with few samples.
    """

    cells: tuple[Cell, ...]
    seconds: float | None = None
    by_few: float | None = None


def axis_title(name: str, device: str) -> str:
    """The title of the table of an axis, a key of `LETTERS`, on ``"CPU"`` or ``"GPU"``."""
    return f"Step against {LETTERS[name]}, {device}"


def threads(device: str) -> str:
    """The name of the device, with its number of threads."""
    return "CPU, one thread" if device == "cpu" else NAMES[device]


def made(size: Size, device: str) -> Ours:
    """A memory of a size, built on all cores (measurements use one)."""
    torch.set_num_threads(os.cpu_count() or 1)
    memory = new_memory(size.samples, size.clusters, size.dim, device)
    torch.set_num_threads(1)
    return Ours(memory, size.batch)


def missing(size: Size, device: str) -> str | None:
    """The reason why a step at a size cannot be measured; None if it can."""
    needed = size.samples * (4 * size.dim + 64) + size.clusters * (32 * size.dim + 12 * size.batch)
    if device == "cuda":
        torch.cuda.empty_cache()  # memory of previous sizes
    free = available_ram() if device == "cpu" else torch.cuda.mem_get_info()[0]
    return None if needed < free else f"not measured: needs {needed / 1e9:.1f} GB"


def point(ours: Ours, repeats: int, few: Ours | None = None) -> Point:
    """Check our step against the obvious one, and time it with floor, obvious and ``few``."""
    obvious, floor = Obvious.beside(ours), Obvious.beside(ours)
    *parts, step = step_cases(ours, obvious, floor)
    check_all([*parts, step], ours, obvious)
    cells = [1e3 * _only_ours(case, repeats) for case in parts]

    def prepare(repeat: int) -> None:
        step.prepare(repeat)
        if few:
            few.draw(2 * repeat)

    assert step.floor is not None  # the step has one
    steps = [step.ours, step.floor, step.obvious, *([few.iterate] if few else [])]
    mine, least, theirs, *fewer = in_turns(steps, repeats, prepare, step.iterations)
    small: Cell = None
    if can_be_small(ours):
        _, case = rare_cases(ours, obvious)
        small = 1e3 * _only_ours(case, repeats)
    row = (
        *(1e3 * mine, 1e3 * least, mine / least, 1e3 * theirs, theirs / mine),
        *(*cells, cells[-1] / REFRESH_EVERY, small),
    )
    return Point(row, mine, mine / fewer[0] if fewer else None)


def _only_ours(case: Case, repeats: int) -> float:
    return in_turns([case.ours], repeats, case.prepare, case.iterations)[0]


def axis_table(name: str, base: Size, points: Mapping[int, Point], device: str) -> Table:
    """A table with one row per value of the field ``name``; other fields are those of the base."""
    rows = [(value, *points[value].cells) for value in sorted(points)]
    small = f"Small clusters: up to {NUM_SMALL} at once, where N allows it."
    note = f"Otherwise {base}; {threads(device)}. {small}"
    return Table(axis_title(name, NAMES[device]), (LETTERS[name], *COLUMNS), rows, note)
