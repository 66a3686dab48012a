"""CSV tables that this package writes, for people and programs, and reads again.

A spreadsheet runs a cell that starts with ``=``, ``+``, ``-`` or ``@`` as a formula. Such text, a
name such as ``=SUM(1).png``, is written with ``./`` in front: as a path it is still the same file.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_SAME_FOLDER = "./"


class RowWriter(Protocol):
    """Writes rows below those that were written before."""

    def __call__(self, rows: Iterable[Sequence[object]], /) -> None: ...


def as_cell(text: str) -> str:
    """Text as a cell that no spreadsheet runs; numbers stay as they are."""
    return f"{_SAME_FOLDER}{text}" if _is_formula(text) else text


def from_cell(cell: str) -> str:
    """The text that `as_cell` was given."""
    inner = cell.removeprefix(_SAME_FOLDER)
    return inner if inner != cell and _is_formula(inner) else cell


@contextmanager
def table_writer(path: Path | str, header: Sequence[str]) -> Iterator[RowWriter]:
    """Write a table: yields a function for its rows, to be called as often as needed.

    Names that are not valid UTF-8 reach Python as surrogates; their original bytes are written.

    Args:
        path: the CSV file.
        header: names of the columns.
    """
    with Path(path).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        # Python 3.11 quotes a lone "\r" only if the line terminator has one, so it stays "\r\n".
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(header)

        def write(rows: Iterable[Sequence[object]]) -> None:
            writer.writerows(
                [as_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
            )

        yield write


def read_table(path: Path | str, *columns: str) -> list[tuple[str, ...]]:
    """The cells of some columns of a table that `table_writer` wrote, row by row.

    Raises:
        ValueError: the table lacks a column or a cell, as after a change in a spreadsheet, or it is
            not a table.
    """
    try:
        return _read_table(path, columns)
    except csv.Error as error:
        raise ValueError(f"{path} is damaged: {error}; restore it from a copy") from error


def _read_table(path: Path | str, columns: Sequence[str]) -> list[tuple[str, ...]]:
    with Path(path).open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if missing := [column for column in columns if column not in header]:
            raise ValueError(
                f"{path} has no column {missing[0]}, but {','.join(header)!r}; expected the table "
                "as it was written. Restore it, or write it again"
            )
        places = [header.index(column) for column in columns]
        rows: list[tuple[str, ...]] = []
        for row in reader:
            if len(row) <= max(places):
                raise ValueError(
                    f"{path}, line {reader.line_num}: {len(row)} cells, expected {len(header)}; "
                    "restore the table, or write it again"
                )
            rows.append(tuple(from_cell(row[place]) for place in places))
    return rows


def _is_formula(text: str) -> bool:
    inner = text
    while inner.startswith(_SAME_FOLDER):
        inner = inner.removeprefix(_SAME_FOLDER)
    return inner.startswith(_FORMULA) and not _is_number(inner)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text.isprintable() and "_" not in text
