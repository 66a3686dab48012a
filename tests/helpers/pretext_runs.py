"""Pretext tasks on data that is at hand: settings, and reading what a run has logged."""

import csv
from pathlib import Path

# Instead of Fashion-MNIST, which is not installed everywhere.
DIGITS = (
    "data=digits",
    "data.batch_size=64",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
)


def last_metrics(run_dir: Path) -> dict[str, float]:
    """The last value of each metric of a run."""
    with (run_dir / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: float(value) for row in rows for name, value in row.items() if value}
