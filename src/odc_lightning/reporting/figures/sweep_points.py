"""Runs of a sweep by the value of one setting, with their final scores or evaluations."""

import math
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from odc_lightning.checkpoints import TrainingRun, checkpoint_file, read_plain_yaml, selected
from odc_lightning.metrics.scores import Evaluation
from odc_lightning.runs.results import read_results
from odc_lightning.runs.summary import read_summary


class Measure(NamedTuple):
    """A score that is drawn.

    Attributes:
        title: with the unit.
        scale: factor from the stored to the shown value.
        protocol, metric, setting: of an evaluation, the best of all layers; no setting is any.
    """

    title: str
    scale: float
    protocol: str
    metric: str
    setting: str = ""


# The first two are also what a training leaves in its summary, of its own images.
SCORES = {
    "knn_top1": Measure("kNN top-1 (%)", 100, "knn", "top1", "k=20"),
    "nmi": Measure("NMI with the classes", 1, "clustering", "nmi"),
    "linear_top1": Measure("linear top-1 (%)", 100, "linear", "top1"),
    "svm_map": Measure("SVM mAP (%)", 100, "svm", "map"),
}


class Point(NamedTuple):
    """The runs (seeds) of one value of a setting.

    Attributes:
        value: of the setting.
        scores: one per run, as shown.
        untrained: scores before training, of the runs that have them.
    """

    value: float
    scores: tuple[float, ...]
    untrained: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return statistics.fmean(self.scores)

    @property
    def spread(self) -> float:
        """Standard deviation (n - 1) over the runs; 0 for a single one."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else 0.0


class MeasuredRun(NamedTuple):
    """Scores of one network, and those before training, if known."""

    config: Mapping[str, Any]
    score: float
    untrained: tuple[float, ...]


def read_sweep(folder: Path, key: str, score: str) -> list[Point]:
    """Score the runs of a sweep.

    Args:
        folder: of the sweep, or of evaluations of its runs, at any depth. Evaluations are
            preferred, and those of an untrained network count for all values.
        key: of the runs' config, whose value is a number.
        score: one of `SCORES`.

    Returns:
        A point for each value, ascending.

    Raises:
        ValueError: no run there has both the setting and the score.
    """
    scale = SCORES[score].scale
    points: dict[float, tuple[list[float], list[float]]] = {}
    for config, measured, before in list(_evaluated(folder, score)) or _trained(folder, score):
        value = selected(config, key)
        if isinstance(value, int | float):
            scores, untrained = points.setdefault(float(value), ([], []))
            scores.append(scale * measured)
            untrained += [scale * each for each in before]
    if not points:
        raise ValueError(
            f"{folder} has no run, finished or evaluated, with a number for {key} in its "
            f"config.yaml and a score for {score}; expected the folder of a sweep over {key}, or "
            "of evaluations of its runs"
        )
    return [Point(value, *map(tuple, points[value])) for value in sorted(points)]


def _trained(folder: Path, score: str) -> Iterator[MeasuredRun]:
    """Final and initial scores of the runs below a folder."""
    for file in sorted(folder.rglob("summary.json")):
        summary = read_summary(file)
        measured, before = summary.get(score), summary["untrained"].get(score)
        config = read_plain_yaml(file.with_name("config.yaml"))
        if isinstance(measured, float):
            yield MeasuredRun(config, measured, (before,) if isinstance(before, float) else ())


def _evaluated(folder: Path, score: str) -> Iterator[MeasuredRun]:
    """Scores of the evaluations below a folder that have the measure."""
    evaluations = [read_results(file) for file in sorted(folder.rglob("results.json"))]
    before = [_best(each, score) for each in evaluations if each.is_untrained]
    untrained = tuple(value for value in before if value is not None)
    for evaluation in evaluations:
        measured = _best(evaluation, score)
        if evaluation.is_untrained or measured is None:
            continue
        run = TrainingRun.of(checkpoint_file(evaluation.checkpoint))
        if run is not None:
            config = read_plain_yaml(run.folder / "config.yaml")
            yield MeasuredRun(config, measured, untrained)


def _best(evaluation: Evaluation, score: str) -> float | None:
    """The best score of all layers; None if the evaluation has no such score."""
    measure = SCORES[score]
    return max(
        (
            found.value
            for found in evaluation.scores
            if (found.protocol, found.metric) == (measure.protocol, measure.metric)
            and measure.setting in ("", found.setting)
            and math.isfinite(found.value)
        ),
        default=None,
    )
