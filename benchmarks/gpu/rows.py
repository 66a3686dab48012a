"""The results of the sections: rows, each of which stands or fails by itself."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from benchmarks.tables import Cell, Table

Values = dict[str, "Cell | bool"]

DRY_RUN = "dry run on the CPU"
NO_ROOM = "not measured: the GPU's memory is full"
MOST = 300  # characters of an error in a table


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        table: the title of its table.
        name: its first cell.
        values: its other cells, by column.
        failure: what went wrong; None if nothing did.
    """

    table: str
    name: str
    values: Values = field(default_factory=dict)
    failure: str | None = None


def attempt(table: str, name: str, work: Callable[[], Values], *, must: Sequence[str] = ()) -> Row:
    """Do some work whose failure leaves the other rows alone.

    Args:
        table, name: of the row.
        work: returns the row's values.
        must: columns whose values must be true; otherwise the row has failed, with its values.
    """
    print(f"\n== {table}: {name}", flush=True)  # to the section's log
    try:
        values = work()
    except torch.cuda.OutOfMemoryError:
        return Row(table, name, {"": NO_ROOM})
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        return Row(table, name, failure=f"{type(error).__name__}: {error}")
    wrong = [column for column in must if values[column] is not True]
    return Row(table, name, values, f"must be true: {', '.join(wrong)}" if wrong else None)


def tables(rows: Sequence[Row], dry_run: bool) -> list[Table]:
    """The rows as tables, in the order in which they came; failures are in the last column."""
    by_title: dict[str, list[Row]] = {}
    for row in rows:
        by_title.setdefault(row.table, []).append(row)
    return [_table(title, own, dry_run) for title, own in by_title.items()]


def _table(title: str, rows: Sequence[Row], dry_run: bool) -> Table:
    if dry_run:
        cells: list[tuple[Cell, ...]] = [(row.name, _problem(row) or DRY_RUN) for row in rows]
        return Table(title, ("", "figures"), cells)
    columns = tuple(dict.fromkeys(column for row in rows for column in row.values))
    failed = ("failed",) if any(row.failure for row in rows) else ()
    cells = []
    for row in rows:
        values = [_cell(row.values.get(column)) for column in columns]
        cells.append((row.name, *values, *([_problem(row) or ""] if failed else [])))
    return Table(title, ("", *columns, *failed), cells)


def _cell(value: Cell | bool) -> Cell:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def _problem(row: Row) -> str:
    """The failure as one cell of a Markdown table."""
    text = " ".join((row.failure or "").split()).replace("|", "/")
    return f"failed: {text[:MOST]}" if text else ""
