"""One table of scores: its rows, columns and cells."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from odc_lightning.metrics.scores import Score
from odc_lightning.reporting.tables.score_text import (
    METRICS,
    UNKNOWN,
    metric_text,
    num_shots,
    printed_value,
    score_text,
)

# Columns that stand behind those with a number.
LAST = ("pooled", "network", "run", "mean", "best")

BEST_NOTE = "Best is the highest of a row's conv layers where no best layer is reported."
SPREAD_NOTE = "± is the standard deviation over independent draws."

Key = tuple[str, ...]


class Source(NamedTuple):
    """A method with its scores; published ones with their table and its remarks."""

    method: str
    scores: Sequence[Score]
    table: str = ""
    remarks: tuple[str, ...] = ()


class Cell(NamedTuple):
    """A score as text, and whether it is the best of the evaluated networks in its column."""

    text: str
    is_best: bool = False


class Row(NamedTuple):
    """A method, the common values of its scores, such as a layer, and one cell per column."""

    method: str
    where: Key
    cells: tuple[Cell, ...]
    is_published: bool


@dataclass(frozen=True)
class ScoreTable:
    """A table of scores.

    Attributes:
        title: of the table.
        where: headers of the common values of a row's scores; they follow the method.
        columns: headers of the cells.
        rows: those of the evaluated networks, then the published ones.
        notes: sentences about the table.
    """

    title: str
    where: Key
    columns: Key
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


class _Line(NamedTuple):
    """A row before its columns are known."""

    source: Source
    where: dict[str, str]
    scores: dict[Key, Score]

    @property
    def is_published(self) -> bool:
        return bool(self.source.table)

    @property
    def name(self) -> str:
        method, table = self.source.method, self.source.table
        return f"{method} ({table})" if table else method


def build_table(title: str, fields: Key, sources: Sequence[Source]) -> ScoreTable:
    """Arrange scores in the columns of the evaluated networks.

    Args:
        title: of the table.
        fields: their values make the columns: one or more of layer, setting and metric. The rows of
            a network differ in the other fields of layer and setting; a metric that is not a field
            is the same in all scores.
        sources: evaluated networks with at least one score among them, and published methods,
            whose scores are shown in the columns of the networks only.
    """
    lines = [line for source in sources for line in _lines(source, fields)]
    columns = {key for line in lines if not line.is_published for key in line.scores}
    notes = []
    if fields == ("layer",) and _has_best(columns, lines):
        columns.add(("best",))
        if not all(("best",) in line.scores for line in lines):
            lines = [_with_best(line) for line in lines]
            notes.append(BEST_NOTE)
    lines = [line for line in lines if columns & set(line.scores)]
    if any(score.spread is not None for line in lines for score in line.scores.values()):
        notes.append(SPREAD_NOTE)
    ordered = sorted(columns, key=lambda key: [*map(_place, fields, key)])
    where = [
        field
        for field in ("layer", "setting")
        if {line.where.get(field, "") for line in lines} - {"", "network"}
    ]
    best = _best(lines)
    rows = [
        Row(
            line.name,
            tuple(line.where[field] for field in where),
            tuple(_cell(line, key, best) for key in ordered),
            line.is_published,
        )
        for line in lines
    ]
    headers = tuple(_header(fields, key) for key in ordered)
    return ScoreTable(title, tuple(where), headers, tuple(rows), (*notes, *_remarks(lines)))


def _lines(source: Source, fields: Key) -> list[_Line]:
    """Lines of a source: scores that agree in all other fields are one line."""
    lines: dict[Key, _Line] = {}
    for score in source.scores:
        where = {
            field: getattr(score, field) for field in ("layer", "setting") if field not in fields
        }
        line = lines.setdefault(tuple(where.values()), _Line(source, where, {}))
        line.scores[tuple(getattr(score, field) for field in fields)] = score
    return list(lines.values())


def _has_best(columns: set[Key], lines: list[_Line]) -> bool:
    """Whether there is a best layer to show, or a published one to compare with."""
    published = any(("best",) in line.scores for line in lines if line.is_published)
    return ("best",) in columns or (published and any(_is_conv(key) for key in columns))


def _with_best(line: _Line) -> _Line:
    conv = [score for key, score in line.scores.items() if _is_conv(key)]
    if not conv or ("best",) in line.scores:
        return line
    best = max(conv, key=printed_value)
    return line._replace(scores={**line.scores, ("best",): best})


def _is_conv(key: Key) -> bool:
    return re.fullmatch(r"conv\d+", key[0]) is not None


def _place(field: str, value: str) -> tuple[int, float, str]:
    """Sort key of columns: metrics as listed above, others by the number in their name."""
    if field == "metric":
        return [*METRICS, value].index(value), 0, value
    number = re.search(r"\d+(\.\d+)?", value)
    rank = LAST.index(value) + 1 if value in LAST else 0
    return rank, float(number[0]) if number else -1, value


def _header(fields: Key, key: Key) -> str:
    if fields == ("metric",):
        return metric_text(key[0])
    # The title says the unit, and of shots that they are such.
    names = [METRICS.get(name, str(num_shots(name) or name)) for name in key]
    return " ".join(filter(None, names))


def _best(lines: list[_Line]) -> dict[tuple[Key, str], float]:
    """The best value of each contest, if several evaluated networks take part."""
    found: dict[tuple[Key, str], dict[str, float]] = {}
    for line in lines:
        for key, score in line.scores.items():
            if not line.is_published and math.isfinite(score.value):
                # Of a network with several rows, one a layer, the best one counts.
                values = found.setdefault(_contest(line, key), {})
                values[line.name] = max(printed_value(score), values.get(line.name, -math.inf))
    return {contest: max(values.values()) for contest, values in found.items() if len(values) > 1}


def _contest(line: _Line, key: Key) -> tuple[Key, str]:
    """Key of scores that compare: those of a column with the same setting."""
    return key, line.where.get("setting", "")


def _cell(line: _Line, key: Key, best: dict[tuple[Key, str], float]) -> Cell:
    score = line.scores.get(key)
    if score is None:
        return Cell(UNKNOWN)
    is_best = not line.is_published and printed_value(score) == best.get(_contest(line, key))
    return Cell(score_text(score), is_best)


def _remarks(lines: list[_Line]) -> list[str]:
    """Remarks of the sources on their numbers, one sentence each."""
    published = [line for line in lines if line.is_published]
    is_one_table = len({line.source.table for line in published}) == 1
    remarks = dict.fromkeys(remark for line in published for remark in line.source.remarks)
    sentences = []
    for remark in remarks:
        meant = [line for line in published if remark in line.source.remarks]
        names = [line.source.method if is_one_table else line.name for line in meant]
        who = "all published" if len(meant) == len(published) else ", ".join(names)
        sentences.append(f"{remark[0].upper()}{remark[1:]}: {who}.")
    return sentences
