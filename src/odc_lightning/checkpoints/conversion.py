"""What became of every key of a checkpoint: the weights that were taken, and a table of all."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

COLUMNS = ("source", "target", "shape", "note")


class Row(NamedTuple):
    """One key.

    Attributes:
        source: its name in the file; empty if the file has no such key.
        target: the backbone's name of it; None if it was dropped.
        shape: in the file, or the backbone's if the file has no such key; None for what is no
            tensor.
        note: the reason, where there is something to say.
    """

    source: str
    target: str | None
    shape: tuple[int, ...] | None
    note: str = ""


@dataclass(frozen=True)
class Conversion:
    """A checkpoint under the backbone's names.

    Attributes:
        format: whose checkpoint it is.
        weights: by the backbone's names.
        rows: every key of the file, and every weight of the backbone that kept its initial value.
        lightness: whether a network of one input channel reads the lightness of Lab images.
    """

    format: str
    weights: dict[str, Tensor]
    rows: list[Row]
    lightness: bool = False

    @property
    def summary(self) -> str:
        """In a few words, as ``(DINO): 318 weights taken, 2 dropped``."""
        dropped = sum(row.target is None and row.shape is not None for row in self.rows)
        kept = sum(row.target is not None and row.target not in self.weights for row in self.rows)
        parts = [f"{len(self.weights)} weights taken"]
        parts += [f"{dropped} dropped"] * bool(dropped)
        parts += [f"{kept} left as initialised"] * bool(kept)
        changed = [row for row in self.rows if row.target in self.weights and row.note]
        parts += [f"{row.target}: {row.note}" for row in changed[:1]]
        return f"({self.format}): {', '.join(parts)}"

    def cells(self) -> Iterable[tuple[str, str, str, str]]:
        """The rows as text, below `COLUMNS`."""
        for source, target, shape, note in self.rows:
            size = "" if shape is None else "x".join(map(str, shape)) or "scalar"
            yield source, target or "", size, note

    def write_csv(self, path: Path) -> None:
        """Write the table of all keys."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(self.cells())

    def table(self) -> str:
        """The table of all keys, in aligned columns."""
        lines = [COLUMNS, *self.cells()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
