"""The result of a conversion: the weights taken from a checkpoint, and a table of all its keys."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from odc_lightning.utils.tables import table_writer
from odc_lightning.utils.text import printable

COLUMNS = ("source", "target", "shape", "note")


class Row(NamedTuple):
    """One key of a checkpoint, or one weight of the backbone that the checkpoint lacks.

    Attributes:
        source: the key's name in the file; empty if the file has no such key.
        target: the weight's name in the backbone; None if the key was dropped.
        shape: the shape in the file, or in the backbone if the file has no such key; None if the
            value is not a tensor.
        note: the reason why it was dropped, changed or left as initialised; else empty.
    """

    source: str
    target: str | None
    shape: tuple[int, ...] | None
    note: str = ""


@dataclass(frozen=True)
class Conversion:
    """A checkpoint under the backbone's names.

    Attributes:
        format: name of the project whose checkpoint it is.
        weights: tensors by the backbone's names.
        rows: every key of the file, and every weight of the backbone that kept its initial value.
        lightness: whether a network of one input channel reads the lightness of Lab images.
        taken: which weights of the file were taken, if it is not obvious.
    """

    format: str
    weights: dict[str, Tensor]
    rows: list[Row]
    lightness: bool = False
    taken: str = ""

    @property
    def summary(self) -> str:
        """A short summary such as ``(DINO): 318 weights taken, 2 dropped``."""
        dropped = sum(row.target is None and row.shape is not None for row in self.rows)
        kept = sum(row.target is not None and row.target not in self.weights for row in self.rows)
        parts = [f"{len(self.weights)} weights taken"]
        parts += [f"{dropped} dropped"] * bool(dropped)
        parts += [f"{kept} left as initialised"] * bool(kept)
        changed = [row for row in self.rows if row.target in self.weights and row.note]
        parts += [f"{row.target}: {row.note}" for row in changed[:1]]
        return f"({self.format}): {', '.join(parts)}{f'; {self.taken}' if self.taken else ''}"

    def cells(self) -> Iterable[tuple[str, str, str, str]]:
        """The rows as text, in the order of `COLUMNS`."""
        for source, target, shape, note in self.rows:
            size = "" if shape is None else "x".join(map(str, shape)) or "scalar"
            yield source, target or "", size, note

    def write_csv(self, path: Path) -> None:
        """Write the table of all keys as CSV."""
        with table_writer(path, COLUMNS) as write:
            write(self.cells())

    def table(self) -> str:
        """The table of all keys, in aligned columns."""
        lines = [COLUMNS, *(tuple(map(printable, cells)) for cells in self.cells())]
        widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
