"""Reading of the CSV tables that this package wrote."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a table with a header, as dictionaries.

    Args:
        path: the table; names that are not valid UTF-8 are read as surrogates.
        columns: that every row must have.

    Raises:
        ValueError: the file is not a table with these columns, or a row is incomplete.
    """
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            for number, row in enumerate(csv.DictReader(file), start=1):
                if any(row.get(column) is None for column in columns):
                    raise ValueError(f"row {number} has no {' or no '.join(columns)}")
                yield row
    except (csv.Error, ValueError) as error:
        raise ValueError(
            f"{path} is damaged: {error}; expected a table with the columns {', '.join(columns)}. "
            "Restore it from a copy"
        ) from error
