"""The results of benchmarks: tables, and targets that are met or missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Cell = str | float | None

NO_GPU = "not measured: no GPU"


@dataclass(frozen=True)
class Table:
    """A table of measurements.

    Attributes:
        title: its subject.
        columns: headers, with units.
        rows: one cell per column; numbers are shown with three significant digits, None as a dash.
        note: conditions of the measurement.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    note: str = ""

    def markdown(self) -> str:
        """The title, the note and the table."""
        lines = [
            self.columns,
            ["---", *["---:"] * (len(self.columns) - 1)],
            *([shown(cell) for cell in row] for row in self.rows),
        ]
        head = [f"### {self.title}", ""] + ([self.note, ""] if self.note else [])
        return "\n".join([*head, *(f"| {' | '.join(line)} |" for line in lines)])


class Target(NamedTuple):
    """A ratio with an upper limit.

    Attributes:
        what: the ratio and its conditions.
        measured: None if it could not be measured.
        at_most: the limit.
        missing: the text if it could not be measured.
    """

    what: str
    measured: float | None
    at_most: float
    missing: str = NO_GPU

    @property
    def verdict(self) -> str:
        """Met, missed, or not measured."""
        if self.measured is None:
            return self.missing
        return "met" if self.measured <= self.at_most else "missed"


def shown(cell: Cell) -> str:
    """The cell as text: three significant digits, or all digits of a large number."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"


def targets_table(targets: list[Target]) -> Table:
    """A table of all targets."""
    rows: list[tuple[Cell, ...]] = [
        (target.what, target.measured, target.at_most, target.verdict) for target in targets
    ]
    return Table("Targets", ("ratio", "measured", "at most", ""), rows)
