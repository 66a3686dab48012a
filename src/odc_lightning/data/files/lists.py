"""Lists of images as people and programs write them: plain text or CSV, with labels or without."""

from __future__ import annotations

import csv
import io
import logging
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pytorch_lightning.utilities import rank_zero_only

from odc_lightning.data.files.formats import image_extensions
from odc_lightning.data.files.list_text import lines_of, read_text
from odc_lightning.utils.tables import from_cell

log = logging.getLogger(__name__)

# Names of columns, in lower case; the first of each wins over the others.
PATH_COLUMNS = (
    *("path", "file", "filename", "filepath", "file_name", "file_path", "fullname"),
    *("image", "image_path", "image_name", "image_file", "img", "img_path"),
)
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "classname", "category", "target")
_DELIMITERS = (",", ";", "\t", "|")
# Blank lines, comments and Excel's `sep=;`, which may stand above the header.
_PREAMBLE = re.compile(r'(?:"?sep=(.)"?|#[^\r\n]*|[ \t]*)(?:\r\n|\n|\r)', re.IGNORECASE)
_LONGEST = 10_000  # characters of a header
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
            or quotes around them, backslashes, or letters beyond ASCII, or after ``#``, which
            starts a comment.

    Raises:
        ValueError: the file is not such a list; the message has the number of the line.
    """

    def rows(text: str) -> Iterator[Listed]:
        table = _table(path, text)
        return _plain_rows(text, exists) if table is None else _csv_rows(path, table, exists)

    def share(text: str) -> float:
        names = (row.path for row in rows(text) if not row.path.isascii())
        some = [exists(name) for name in islice(names, 1000)]
        return sum(some) / max(1, len(some))

    text = read_text(path, share)
    table = _table(path, text)
    if table is not None and table.label is None and any(table.header):
        unused = [name for n, name in enumerate(table.header) if name and n != table.path]
        if unused:
            rank_zero_only(log.info)(
                "%s: the images have no labels; these columns are not read: %s",
                *(path, ", ".join(unused)),
            )
    return list(rows(text))


class _Table(NamedTuple):
    """A list in CSV: its text from the header on, the lines above it, and its columns."""

    body: str
    above: int
    delimiter: str
    padded: bool
    header: list[str]
    path: int
    label: int | None


def _table(path: Path, text: str) -> _Table | None:
    """The list as a table; None if no line names columns, so that it is plain text.

    Raises:
        ValueError: two columns could be the path or the label, or a file named as CSV has no
            header.
    """
    delimiters: tuple[str, ...] = _DELIMITERS
    start = 0
    while match := _PREAMBLE.match(text, start):
        delimiters, start = (match[1],) if match[1] else delimiters, match.end()
    body, above = text[start:], len(re.findall(r"\r\n|\n|\r", text[:start]))
    first = re.split(r"[\r\n]", body, maxsplit=1)[0]
    tables = []
    for delimiter in delimiters:
        padded = f"{delimiter} " in first
        reader = csv.reader([first[:_LONGEST]], delimiter=delimiter, skipinitialspace=padded)
        header = [name.strip() for name in next(reader, [])]
        of_path = _place(path, header, PATH_COLUMNS)
        if of_path is not None:
            of_label = _place(path, header, LABEL_COLUMNS)
            tables.append(_Table(body, above, delimiter, padded, header, of_path, of_label))
    if not tables and first and path.suffix.lower() in (".csv", ".tsv"):
        raise ValueError(
            f"{path}: expected `path` or `path,label` as the first line, got {first[:80]!r}; add a "
            f"line that names the columns ({', '.join(PATH_COLUMNS[:3])}, ...; "
            f"{', '.join(LABEL_COLUMNS[:3])}, ...)"
        )
    return max(tables, key=lambda table: len(table.header), default=None)


def _place(path: Path, header: Sequence[str], known: Sequence[str]) -> int | None:
    """The column with one of the names that are known."""
    names = [name.lower().replace(" ", "_") for name in header]
    first = [name for name in names if name == known[0]]
    chosen = first or [name for name in names if name in known]
    if len(chosen) > 1:
        raise ValueError(
            f"{path}: the columns {' and '.join(chosen)} could both be the {known[0]}; name only "
            f"one of them {known[0]}"
        )
    return names.index(chosen[0]) if chosen else None


def _csv_rows(path: Path, table: _Table, exists: Exists) -> Iterator[Listed]:
    reader = csv.reader(
        io.StringIO(table.body, newline=""),
        delimiter=table.delimiter,
        skipinitialspace=table.padded,
        strict=True,
    )
    width = len(table.header)
    while True:
        line = table.above + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{path}, line {line}: {error}; expected valid CSV") from error
        if row is None:
            return
        is_comment = len(row) != width and row[0].startswith("#") if row else True
        if line == table.above + 1 or is_comment or not any(cell.strip() for cell in row):
            continue
        if len(row) < width or any(cell.strip() for cell in row[width:]):
            raise ValueError(
                f"{path}, line {line}: {row} has {len(row)} fields; expected {width}, as the first "
                "line has"
            )
        name = _path(row[table.path], exists)
        if not name:
            raise ValueError(f"{path}, line {line}: {row} has no path")
        yield Listed(line, name, None if table.label is None else row[table.label].strip())


def _plain_rows(text: str, exists: Exists) -> Iterator[Listed]:
    lines = [each for each in lines_of(text) if not each[1].startswith("#") or exists(each[1])]
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
    return from_cell(next(filter(exists, dict.fromkeys(tried)), stripped))
