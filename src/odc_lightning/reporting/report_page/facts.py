"""Facts and tables of runs for a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from odc_lightning.reporting.report_page.find_runs import FoundRun
from odc_lightning.reporting.report_page.measures import Measure, Values
from odc_lightning.reporting.report_page.settings import (
    Difference,
    Group,
    flatten,
    short_keys,
    value_text,
)
from odc_lightning.utils.timing import format_duration

MAX_COLUMNS, MAX_VALUES = 5, 8


@dataclass(frozen=True)
class Cell:
    """A cell: its text, its sort key, and whether it is the best of its column."""

    text: str
    sort: float | str
    best: bool = False


def figures(runs: Sequence[FoundRun]) -> list[tuple[str, str]]:
    """The few numbers beside the title, each with its unit; only values that all runs share."""
    summaries = [run.summary for run in runs if run.summary is not None]
    shown = [(f"{len(runs)}", "runs")] if len(runs) > 1 else []
    for key, word in (("num_samples", "images"), ("num_clusters", "")):
        known = {(summary[key], summary["targets"]) for summary in summaries}  # type: ignore[literal-required]
        if len(known) == 1:
            number, targets = known.pop()
            shown.append((f"{number:,}", word or targets))
    if summaries:
        seconds = sum(summary["wall_seconds"] for summary in summaries)
        shown.append((format_duration(seconds), "in all" if len(runs) > 1 else "wall time"))
    return shown


def facts(run: FoundRun) -> list[tuple[str, str]]:
    """Terms and descriptions of a run."""
    flat, summary = flatten(run.config), run.summary
    rows: list[tuple[str, Any]] = [
        ("folder", run.folder),
        ("data", flat.get("data.name") or flat.get("data.root")),
        ("network", _class(flat.get("model.backbone._target_"))),
        ("started from", summary["pretrained"] if summary else flat.get("model.pretrained")),
        ("epochs", flat.get("trainer.max_epochs")),
        ("batch", flat.get("data.batch_size")),
        ("learning rate", flat.get("optimizer.lr")),
        ("seed", flat.get("seed")),
        ("device", flat.get("trainer.accelerator")),
    ]
    if summary is None:
        rows.append(("state", "not finished: it has no summary.json"))
    else:
        speed = summary["images_per_second"]
        rows.append(("speed", None if speed is None else f"{speed:,.0f} images/s"))
        versions = [f"{name} {version}" for name, version in summary["versions"].items() if version]
        rows.append(("made with", ", ".join(versions).replace("_", "-")))
    return [(term, value_text(value)) for term, value in rows if value is not None]


def closing_table(run: FoundRun) -> list[tuple[str, str, str]]:
    """Scores against labels: name, before training, after; nothing without labels."""
    if run.summary is None:
        return []
    before, rows = run.summary["untrained"], []
    for name, key, digits in (("kNN top-1", "knn_top1", 1), ("NMI", "nmi", 3)):
        pair = (before[key], run.summary[key])  # type: ignore[literal-required]
        if pair != (None, None):
            form = f".{digits}%" if key == "knn_top1" else f".{digits}f"
            first, last = ("–" if value is None else format(value, form) for value in pair)
            rows.append((name, first, last))
    return rows


def run_table(
    groups: Sequence[Group],
    found: Sequence[Difference],
    measures: Sequence[Measure],
    values: Sequence[Values],
) -> tuple[list[str], list[list[Cell]]]:
    """Headers and rows, one row per group: label, seeds, settings that differ, scores.

    Args:
        groups: of R runs; scores of a group are mean ± standard deviation.
        found: `differences` of the runs; only the first five are shown.
        measures: columns.
        values: of R runs.
    """
    labels = tuple(group.label for group in groups)
    shown = [
        each
        for each in found
        # A column that repeats the label is left out.
        if each.is_choice
        and not each.is_seed
        and tuple(value_text(each.values[g.runs[0]]) for g in groups) != labels
    ][:MAX_COLUMNS]
    several = any(len(group.runs) > 1 for group in groups)
    headers = [
        "run",
        *(["runs"] if several else []),
        *short_keys([each.key for each in shown]),
        *(measure.title for measure in measures),
    ]
    means = {
        measure.key: [_mean([values[run].get(measure.key) for run in g.runs]) for g in groups]
        for measure in measures
    }
    rows = []
    for place, group in enumerate(groups):
        cells = [Cell(group.label, group.label)]
        if several:
            cells.append(Cell(str(len(group.runs)), len(group.runs)))
        for each in shown:
            value = each.values[group.runs[0]]
            cells.append(Cell(value_text(value), _sortable(value)))
        for measure in measures:
            of_all = [values[run][measure.key] for run in group.runs if measure.key in values[run]]
            mean = means[measure.key][place]
            best = len(groups) > 1 and mean is not None and mean == _best(measure, means)
            sort: float | str = "" if mean is None else mean
            cells.append(Cell(measure.summary(of_all), sort, best))
        rows.append(cells)
    return headers, rows


def difference_table(found: Sequence[Difference]) -> list[tuple[str, str, list[tuple[str, int]]]]:
    """Key, the keys that follow it, and each value with its number of runs."""
    table = []
    for each in found:
        texts = [value_text(value) for value in each.values]
        counts = [(text, texts.count(text)) for text in dict.fromkeys(texts)]
        more = len(counts) - MAX_VALUES
        if more > 0:
            left = sum(count for _, count in counts[MAX_VALUES:])
            counts = [*counts[:MAX_VALUES], (f"{more} more", left)]
        table.append((each.key, ", ".join(each.keys[1:]), counts))
    return table


def _best(measure: Measure, means: dict[str, list[float | None]]) -> float | None:
    known = [mean for mean in means[measure.key] if mean is not None]
    if not measure.best or not known:
        return None
    return max(known) if measure.best == "high" else min(known)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _sortable(value: Any) -> float | str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else value_text(value)


def _class(target: object) -> str | None:
    return None if target is None else str(target).rpartition(".")[2]
