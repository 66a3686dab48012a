"""The scores of evaluations beside the published ones, as Markdown or on a terminal."""

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
from odc_lightning.utils.text import escape_markdown, printable

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
        console.print(_text(_heading(group), style="bold underline"))
        tables = score_tables(group)
        for table in tables:
            console.print(Text(f"\n{printable(table.title)}", style="italic"))
            console.print(_fitting_table(table, console))
            for note in table.notes:
                console.print(_text(note, style="dim"))
        console.print()
        for protocol, reason in skipped_protocols(group):
            console.print(_text(f"{protocol} skipped: {reason}"))
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
        f"- **{escape_markdown(name)}**: {escape_markdown(evaluation.checkpoint)}"
        for name, evaluation in zip(unique_names(group), group, strict=True)
    ]
    blocks = [f"# {escape_markdown(_heading(group))}", "\n".join(networks)]
    for table in tables:
        blocks += [f"## {escape_markdown(table.title)}", _markdown_table(table)]
        blocks += [" ".join(map(escape_markdown, table.notes))] if table.notes else []
    if skipped:
        lines = [
            f"- {escape_markdown(protocol)}: {escape_markdown(reason)}"
            for protocol, reason in skipped
        ]
        blocks += ["## Skipped", "\n".join(lines)]
    if _has_published(tables):
        blocks.append(f"In grey: {SOURCES}")
    return "\n\n".join(blocks)


def _markdown_table(table: ScoreTable) -> str:
    names = ["method", *table.where]
    rule = ["---"] * len(names) + ["---:"] * len(table.columns)
    header = [escape_markdown(name) for name in (*names, *table.columns)]
    lines = [header, rule, *map(_markdown_row, table.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _markdown_row(row: Row) -> list[str]:
    if row.is_published:
        texts = [row.method, *row.where, *(cell.text for cell in row.cells)]
        return [_grey(escape_markdown(text)) for text in texts]
    cells = [f"**{cell.text}**" if cell.is_best else cell.text for cell in row.cells]
    return [f"**{escape_markdown(row.method)}**", *map(escape_markdown, row.where), *cells]


def _grey(text: str) -> str:
    return text if text in ("", UNKNOWN) else f'<span style="color:gray">{text}</span>'


def _fitting_table(table: ScoreTable, console: Console) -> Table:
    """The table; if it is wider than the console, spreads are on lines of their own."""
    wide = _rich_table(table, " ± ")
    width = wide.__rich_measure__(console, console.options).maximum
    return wide if width <= console.width else _rich_table(table, "\n±")


def _rich_table(table: ScoreTable, spread: str) -> Table:
    rich_table = Table(box=None, pad_edge=False)
    rich_table.add_column(Text("method"), overflow="fold")
    for header in table.where:
        rich_table.add_column(_text(header), no_wrap=True)
    for header in table.columns:
        rich_table.add_column(_text(header), justify="right", no_wrap=True)
    for row in table.rows:
        method = _text(row.method, style="" if row.is_published else "bold")
        cells = [
            Text(cell.text.replace(" ± ", spread), style="bold" if cell.is_best else "")
            for cell in row.cells
        ]
        style = "dim" if row.is_published else ""
        rich_table.add_row(method, *map(_text, row.where), *cells, style=style)
    return rich_table


def _text(name: str, style: str = "") -> Text:
    """A name for a terminal; rich itself lets escape sequences through."""
    return Text(printable(name), style=style)
