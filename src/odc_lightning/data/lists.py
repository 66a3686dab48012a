"""Lists of images as people and programs write them: plain text or CSV, with labels or without."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from odc_lightning.data.images import image_extensions
from odc_lightning.data.list_text import lines_of, read_text
from odc_lightning.utils.tables import from_cell

# Names of columns, in lower case; the first of each wins over the others.
PATH_COLUMNS = (
    *("path", "file", "filename", "filepath", "file_name", "file_path", "fullname"),
    *("image", "image_path", "image_name", "image_file", "img", "img_path"),
)
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "classname", "category", "target")
_DELIMITERS = (",", ";", "\t", "|")
# Excel's `sep=;` and PowerShell's `#TYPE ...`, which may stand above the header.
_PREAMBLE = re.compile(r'\s*?(?:"?sep=(.)"?|#TYPE [^\r\n]*)(?:\r\n|\n|\r)', re.IGNORECASE)
_PAIR = re.compile(r"(.*\S)(?:\t|\s+(?=-?\d+(?:\.0*)?\s*$))\s*(.+)")  # a path and a label
_UNUSUAL = re.compile(r"^[\s\"']|\s$|\\|[^\x00-\x7f]")

Exists = Callable[[str], bool]


class Listed(NamedTuple):
    """An image in a list.

    Attributes:
        line: number of the line, from 1.
        path: as an existing image has it, if there is one.
        label: as it is written; None if the list has no labels.
    """

    line: int
    path: str
    label: str | None


def read_list(path: Path, exists: Exists) -> list[Listed]:
    """The images that a file lists.

    The file is CSV if its first line names columns, else plain text: a path on each line, with a
    number after it if all lines are a path of an image and an integer.

    Args:
        path: the file, in UTF-8, UTF-16, or an encoding in which its names belong to images.
        exists: whether an image has this path. It is asked only about unusual paths: with spaces
            or quotes around them, with backslashes, or after ``#``, which starts a comment.

    Raises:
        ValueError: the file is not such a list; the message has the number of the line.
    """

    def share(text: str) -> float:
        names = (row.path for row in _rows(path, text, exists) if not row.path.isascii())
        some = [exists(name) for name in islice(names, 1000)]
        return sum(some) / max(1, len(some))

    return list(_rows(path, read_text(path, share), exists))


def _rows(path: Path, text: str, exists: Exists) -> Iterator[Listed]:
    delimiters, start = _DELIMITERS, 0
    while match := _PREAMBLE.match(text, start):
        delimiters, start = (match[1],) if match[1] else delimiters, match.end()
    body, above = text[start:], len(re.findall(r"\r\n|\n|\r", text[:start]))
    first = next(lines_of(body), None)
    if first is None:
        return
    headers = [next(csv.reader([first[1]], delimiter=each)) for each in delimiters]
    columns = [_columns(path, header) for header in headers]
    fitting = [i for i in range(len(headers)) if columns[i] is not None]
    if fitting:
        best = max(fitting, key=lambda i: len(headers[i]))
        yield from _csv_rows(path, body, above, delimiters[best], columns[best], exists)
    elif path.suffix.lower() in (".csv", ".tsv"):
        raise ValueError(
            f"{path}: expected `path` or `path,label` as the first line, got {first[1].strip()!r}; "
            f"add a line that names the columns ({', '.join(PATH_COLUMNS[:4])}, ...; "
            f"{', '.join(LABEL_COLUMNS[:4])}, ...)"
        )
    else:
        yield from _plain_rows(body, above, exists)


def _columns(path: Path, header: Sequence[str]) -> tuple[int, int | None] | None:
    """Places of the path and, if there is one, of the label; None if the path has no column."""
    names = [name.strip().lower() for name in header]

    def place(known: Sequence[str]) -> int | None:
        first = [name for name in names if name == known[0]]
        chosen = first or [name for name in names if name in known]
        if len(chosen) > 1:
            raise ValueError(
                f"{path}: the columns {' and '.join(chosen)} could both be the {known[0]}; name "
                f"only one of them {known[0]}"
            )
        return names.index(chosen[0]) if chosen else None

    of_path = place(PATH_COLUMNS)
    return None if of_path is None else (of_path, place(LABEL_COLUMNS))


def _csv_rows(
    path: Path,
    body: str,
    above: int,
    delimiter: str,
    columns: tuple[int, int | None] | None,
    exists: Exists,
) -> Iterator[Listed]:
    assert columns is not None
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True)
    width: int | None = None
    while True:
        line = above + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{path}, line {line}: {error}; expected valid CSV") from error
        if row is None:
            return
        if not any(cell.strip() for cell in row):
            continue
        if width is None:  # the header
            width = len(row)
            continue
        if len(row) != width and row[0].startswith("#"):
            continue
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            raise ValueError(
                f"{path}, line {line}: {row} has {len(row)} fields; expected {width}, as the first "
                "line has"
            )
        name = _path(row[columns[0]], exists)
        if not name:
            raise ValueError(f"{path}, line {line}: {row} has no path")
        label = None if columns[1] is None else row[columns[1]].strip()
        yield Listed(line, name, label)


def _plain_rows(body: str, above: int, exists: Exists) -> Iterator[Listed]:
    lines = [
        (above + number, line)
        for number, line in lines_of(body)
        if not line.startswith("#") or exists(line)
    ]
    pairs = [_PAIR.fullmatch(line) for _, line in lines]
    extensions = image_extensions()
    if all(pair and Path(pair[1]).suffix.lower() in extensions for pair in pairs) and not (
        lines and exists(lines[0][1])
    ):
        for (number, _), pair in zip(lines, pairs, strict=True):
            assert pair is not None
            yield Listed(number, _path(pair[1], exists), pair[2].strip())
        return
    for number, line in lines:
        yield Listed(number, _path(line, exists), None)


def _path(cell: str, exists: Exists) -> str:
    """The path as it is written if an image has it, else without what programs add to it."""
    if not _UNUSUAL.search(cell):
        return from_cell(cell)
    stripped = cell.strip()
    quoted = re.fullmatch(r"([\"'])(.*)\1", stripped, re.DOTALL)
    bare = quoted[2] if quoted else stripped
    tried = [cell, stripped, bare, bare.replace("\\", "/")]
    # macOS decomposes accented letters, others do not.
    tried += [unicodedata.normalize(form, name) for form in ("NFC", "NFD") for name in tried]
    return from_cell(next(filter(exists, tried), stripped))
