"""The curves of a report as plain lists, small enough for a page."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from odc_lightning.reporting.figures.curves import SMOOTH_FROM, SMOOTH_SHARE, rolling_median
from odc_lightning.reporting.report_page.find_runs import FoundRun
from odc_lightning.reporting.report_page.settings import Group
from odc_lightning.reporting.report_page.thinning import band, thin
from odc_lightning.runs.closing_lines import chance_name
from odc_lightning.runs.metrics_csv import Series, steps_per_epoch

# Points of all lines together, and of one line.
MAX_POINTS, MAX_LINE_POINTS, MIN_LINE_POINTS = 100_000, 1_000, 60


class Panel(NamedTuple):
    """One metric: title, unit or remark, and whether its axis is logarithmic above 1."""

    title: str
    remark: str = ""
    is_log: bool = False


PANELS = {
    "train/loss": Panel("Training loss", "nats"),
    "odc/label_switch_ratio": Panel("Label switches", "share of a batch"),
    "eval/knn_top1": Panel("kNN top-1", "share of images"),
    "eval/online_probe_top1": Panel("Online probe top-1", "share of images"),
    "eval/nmi": Panel("NMI with the classes"),
    "odc/nmi_previous_epoch": Panel("NMI with an epoch ago"),
    "odc/cluster_size_max": Panel("Largest cluster", "images", True),
    "odc/cluster_size_min": Panel("Smallest cluster", "images", True),
    "odc/cluster_entropy": Panel("Entropy of cluster sizes", "1: equal sizes"),
    "odc/centroid_drift": Panel("Centroid drift", "L2 distance of the last refresh"),
    "train/feature_rank": Panel("Rank of the features", "effective directions"),
    "odc/empty_clusters": Panel("Empty clusters", "clusters"),
    "odc/small_clusters_split": Panel("Splits of largest clusters", "a step"),
    "guard/criterion": Panel("Criterion of the guard", "the best state is kept"),
    "guard/neighbours_agree": Panel("Neighbours of two views", "share in common"),
    "guard/neighbours_kept": Panel("Neighbours of the start", "share kept"),
    "guard/view_retrieval": Panel("Views that find their image", "share of views"),
    "guard/effective_rank": Panel("Rank of held-back features", "effective directions"),
    "guard/fisher_ratio": Panel("Variance between and within images", "ratio"),
    "guard/cluster_stability": Panel("Clusters of two views", "AMI"),
}


def panels(runs: Sequence[FoundRun], groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The panels of a report, one per metric, with lines of groups and of single runs.

    Args:
        runs: R of them.
        groups: of the runs.
    """
    logged = dict.fromkeys(key for run in runs for key in run.metrics)
    keys = [key for key in PANELS if key in logged] + [key for key in logged if key not in PANELS]
    number = sum(key in run.metrics for key in keys for run in runs)
    most = min(MAX_LINE_POINTS, max(MIN_LINE_POINTS, MAX_POINTS // max(1, number)))
    return [_panel(key, runs, groups, most) for key in keys]


def set_apart(
    found: Sequence[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[tuple[str, float]]]:
    """Panels with curves, and title and value of the panels with one constant value."""
    moving, constant = [], []
    for panel in found:
        values = {value for line in panel["lines"] for value in line["y"]}
        if len(values) == 1 and None not in values and sum(len(x["y"]) for x in panel["lines"]) > 1:
            constant.append((panel["title"], values.pop()))
        else:
            moving.append(panel)
    return moving, constant


def done(series: Series) -> np.ndarray:
    """Optimiser steps done at each value, (K,): 0 for what was logged before training."""
    return np.where(series.epochs < 0, 0, series.steps + 1)


def rounded(values: np.ndarray, digits: int = 5) -> list[float | None]:
    """Values with this number of significant digits; None for NaN and infinity."""
    return [
        float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values.tolist()
    ]


def _panel(
    key: str, runs: Sequence[FoundRun], groups: Sequence[Group], most: int
) -> dict[str, Any]:
    panel = PANELS.get(key, Panel(key))
    lines: list[dict[str, Any]] = []
    for place, group in enumerate(groups):
        members = [run for run in group.runs if key in runs[run].metrics]
        if len(members) > 1:
            lines.append(_band(key, runs, members, most) | {"group": place})
        for run in members:
            lines.append(_line(runs[run], key, most) | {"group": place, "run": run})
    return {
        "key": key,
        "title": panel.title,
        "remark": panel.remark,
        "log": panel.is_log,
        "chance": _chance(runs) if key == "train/loss" else None,
        "lines": lines,
    }


def _line(run: FoundRun, key: str, most: int) -> dict[str, Any]:
    series = run.metrics[key]
    steps, values = done(series), series.values
    x, y = thin(steps, values, most)
    line: dict[str, Any] = {
        "x": rounded(x, 9),
        "y": rounded(y),
        "perEpoch": steps_per_epoch(run.metrics),
    }
    finite = np.isfinite(values)
    if finite.sum() >= SMOOTH_FROM:
        places, medians = rolling_median(values[finite], int(finite.sum()) // SMOOTH_SHARE)
        line["smooth"] = {"x": rounded(steps[finite][places], 9), "y": rounded(medians)}
    return line


def _band(key: str, runs: Sequence[FoundRun], members: Sequence[int], most: int) -> dict[str, Any]:
    found = [(done(runs[run].metrics[key]), runs[run].metrics[key].values) for run in members]
    steps, mean, spread = band([each for each in found if np.isfinite(each[1]).any()], most // 2)
    return {
        "x": rounded(steps, 9),
        "y": rounded(mean),
        "spread": rounded(spread),
        "run": None,
        "perEpoch": steps_per_epoch(runs[members[0]].metrics),
    }


def _chance(runs: Sequence[FoundRun]) -> dict[str, Any] | None:
    """The loss of chance, if it is the same for all runs."""
    known = {
        (run.summary["chance_loss"], run.summary["num_clusters"])
        for run in runs
        if run.summary is not None
    }
    if len(known) != 1 or any(run.summary is None for run in runs):
        return None
    chance, clusters = known.pop()
    return {"value": chance, "label": f"{chance_name(chance, clusters)} = {chance:.2f}"}
