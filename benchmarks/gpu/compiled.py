"""Section ``compiled``: graphs and breaks of compiled networks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial, partialmethod
from unittest.mock import patch

import torch
from torch._dynamo.utils import counters

from benchmarks.gpu.rows import Row, Values, attempt
from benchmarks.gpu.small import DIGITS, clusters, small_run


def measure(dry_run: bool) -> Iterator[Row]:
    """A row for each network; a dry run takes the small one."""
    bf16 = "trainer.precision=bf16-mixed"
    small = ("experiment=odc_small", "data=digits", "model=resnet18", "callbacks=online_probe")
    networks: dict[str, tuple[str, ...]] = {"ConvNet, odc": (*DIGITS, clusters(dry_run), bf16)}
    if not dry_run:
        networks["ResNet-18, odc_small, probe"] = (*small, clusters(dry_run), bf16)
    for name, overrides in networks.items():
        yield attempt("Compiled networks", name, partial(compiled, dry_run, *overrides))


def compiled(dry_run: bool, *overrides: str) -> Values:
    """The training's row, and what torch counted while it compiled."""
    torch.compiler.reset()
    counters.clear()
    # In a dry run nothing is compiled to machine code, which would take minutes.
    backend = "aot_eager" if dry_run else "inductor"
    compiling = partialmethod(torch.nn.Module.compile, backend=backend)
    with patch.object(torch.nn.Module, "compile", compiling):
        values = small_run(dry_run, *overrides, "train.compile=true")
    breaks = counters["graph_break"]
    return {
        **values,
        "graphs": counters["stats"]["unique_graphs"],
        "breaks": sum(breaks.values()),
        "reasons": "; ".join(" ".join(reason.split())[:100] for reason in breaks).replace("|", "/"),
    }
