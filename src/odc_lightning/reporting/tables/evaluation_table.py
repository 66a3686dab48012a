"""The scores of evaluations beside the published ones, as Markdown or on a terminal."""

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from odc_lightning.metrics.scores import Evaluation
from odc_lightning.reporting.tables.score_table import Row, ScoreTable
from odc_lightning.reporting.tables.score_text import UNKNOWN
from odc_lightning.reporting.tables.table_layout import (
    group_evaluations,
    score_tables,
    skipped_protocols,
    unique_names,
)

SOURCES = "as printed in the paper (Zhan et al., CVPR 2020) or in the model zoo of its authors."


def evaluation_table(evaluations: Sequence[Evaluation]) -> str:
    """One Markdown document with tables of the evaluated networks, and published scores in grey.

    Accuracies, average precisions and purity are in percent, NMI, AMI and ARI in [0, 1].

    Args:
        evaluations: one or more; each data set and backbone has its own part.
    """
    return "\n\n".join(_part(group) for group in group_evaluations(evaluations)) + "\n"


def print_evaluation(evaluations: Sequence[Evaluation], console: Console | None = None) -> None:
    """Print the same tables; published scores are dim.

    Args:
        evaluations: one or more; each data set and backbone has its own part.
        console: where to print; standard output by default.
    """
    console = console or Console()
    for group in group_evaluations(evaluations):
        console.print(Text(_heading(group), style="bold underline"))
        tables = score_tables(group)
        for table in tables:
            console.print(Text(f"\n{table.title}", style="italic"))
            console.print(_fitting_table(table, console))
            for note in table.notes:
                console.print(Text(note, style="dim"))
        console.print()
        for protocol, reason in skipped_protocols(group):
            console.print(Text(f"{protocol} skipped: {reason}"))
        if _has_published(tables):
            console.print(Text(f"Dim: {SOURCES}", style="dim"))


def _heading(group: list[Evaluation]) -> str:
    return f"Evaluation on {group[0].data}, {group[0].backbone}"


def _has_published(tables: list[ScoreTable]) -> bool:
    return any(row.is_published for table in tables for row in table.rows)


def _part(group: list[Evaluation]) -> str:
    """The part of `evaluation_table` for one data set and backbone."""
    tables, skipped = score_tables(group), skipped_protocols(group)
    networks = [
        f"- **{_escape(name)}**: {_escape(evaluation.checkpoint)}"
        for name, evaluation in zip(unique_names(group), group, strict=True)
    ]
    blocks = [f"# {_escape(_heading(group))}", "\n".join(networks)]
    for table in tables:
        blocks += [f"## {_escape(table.title)}", _markdown_table(table)]
        blocks += [" ".join(map(_escape, table.notes))] if table.notes else []
    if skipped:
        lines = [f"- {_escape(protocol)}: {_escape(reason)}" for protocol, reason in skipped]
        blocks += ["## Skipped", "\n".join(lines)]
    if _has_published(tables):
        blocks.append(f"In grey: {SOURCES}")
    return "\n\n".join(blocks)


def _markdown_table(table: ScoreTable) -> str:
    names = ["method", *table.where]
    rule = ["---"] * len(names) + ["---:"] * len(table.columns)
    header = [_escape(name) for name in (*names, *table.columns)]
    lines = [header, rule, *map(_markdown_row, table.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _markdown_row(row: Row) -> list[str]:
    if row.is_published:
        texts = [row.method, *row.where, *(cell.text for cell in row.cells)]
        return [_grey(_escape(text)) for text in texts]
    cells = [f"**{cell.text}**" if cell.is_best else cell.text for cell in row.cells]
    return [f"**{_escape(row.method)}**", *map(_escape, row.where), *cells]


def _grey(text: str) -> str:
    return text if text in ("", UNKNOWN) else f'<span style="color:gray">{text}</span>'


def _escape(text: str) -> str:
    """Escape characters of a name that end a cell or are markup."""
    return re.sub(r"([\\|*`<\[\]])", r"\\\1", " ".join(text.split()))


def _fitting_table(table: ScoreTable, console: Console) -> Table:
    """The table; if it is wider than the console, spreads are on lines of their own."""
    wide = _rich_table(table, " ± ")
    width = wide.__rich_measure__(console, console.options).maximum
    return wide if width <= console.width else _rich_table(table, "\n±")


def _rich_table(table: ScoreTable, spread: str) -> Table:
    rich_table = Table(box=None, pad_edge=False)
    rich_table.add_column(Text("method"), overflow="fold")
    for header in table.where:
        rich_table.add_column(Text(header), no_wrap=True)
    for header in table.columns:
        rich_table.add_column(Text(header), justify="right", no_wrap=True)
    for row in table.rows:
        method = Text(row.method, style="" if row.is_published else "bold")
        cells = [
            Text(cell.text.replace(" ± ", spread), style="bold" if cell.is_best else "")
            for cell in row.cells
        ]
        style = "dim" if row.is_published else ""
        rich_table.add_row(method, *map(Text, row.where), *cells, style=style)
    return rich_table
