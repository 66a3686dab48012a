"""Final values of a run, and their text."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from odc_lightning.metrics.scores import Evaluation
from odc_lightning.reporting.report_page.find_runs import FoundRun
from odc_lightning.reporting.tables.score_text import DECIMALS, METRICS
from odc_lightning.utils.timing import format_duration

# Settings whose score stands for a protocol, if it has them.
CHOSEN = ("", "k=20", "mean")
Values = Mapping[str, float]


@dataclass(frozen=True)
class Measure:
    """A column of numbers.

    Attributes:
        key: by which `final_values` has it.
        title: name with the unit.
        digits: after the point; None for a time.
        scale: factor from the value to the shown number.
        best: ``high``, ``low``, or empty if neither is better.
    """

    key: str
    title: str
    digits: int | None
    scale: float = 1
    best: str = ""

    def text(self, value: float) -> str:
        """One value."""
        if self.digits is None:
            return format_duration(value)
        return f"{value * self.scale:,.{self.digits}f}"

    def summary(self, values: Sequence[float]) -> str:
        """``81.2 ± 0.3``: mean and standard deviation; a dash without a value."""
        if not values:
            return "–"
        text = self.text(statistics.fmean(values))
        return f"{text} ± {self.text(statistics.stdev(values))}" if len(values) > 1 else text


OF_A_RUN = (
    Measure("train_loss", "loss", 2),  # losses of different tasks do not compare: none is the best
    Measure("label_switch_ratio_last", "label switches (%)", 1, 100),
    Measure("knn_top1", "kNN top-1 (%)", 1, 100, "high"),
    Measure("nmi", "NMI", 3, 1, "high"),
    Measure("images_per_second", "images/s", 0),
    Measure("wall_seconds", "wall time", None),
)
# Metrics that are used while a run has no summary.
LAST_LOGGED = {
    "train_loss": "train/loss",
    "label_switch_ratio_last": "odc/label_switch_ratio",
    "knn_top1": "eval/knn_top1",
    "nmi": "eval/nmi",
}


def final_values(run: FoundRun, evaluations: Sequence[Evaluation] = ()) -> dict[str, float]:
    """Final values of a run, by the keys of measures.

    Args:
        run: without a summary its last logged values are used.
        evaluations: of this run; they have keys such as ``linear top1``.
    """
    values: dict[str, float] = {}
    for measure in OF_A_RUN:
        value: object = None if run.summary is None else run.summary.get(measure.key)
        series = run.metrics.get(LAST_LOGGED.get(measure.key, ""))
        if run.summary is None and series is not None and len(series.values):
            value = series.values[-1]
        if isinstance(value, int | float) and math.isfinite(value):
            values[measure.key] = float(value)
    for evaluation in evaluations:
        values |= headlines(evaluation)
    return values


def headlines(evaluation: Evaluation) -> dict[str, float]:
    """The best layer's score of each protocol, in the protocol's first metric."""
    best: dict[str, float] = {}
    for protocol in dict.fromkeys(score.protocol for score in evaluation.scores):
        scores = [score for score in evaluation.scores if score.protocol == protocol]
        scores = [score for score in scores if score.metric == scores[0].metric]
        chosen = [score for score in scores if score.setting in CHOSEN] or scores
        values = [score.value for score in chosen if math.isfinite(score.value)]
        if values:
            best[f"{protocol} {scores[0].metric}"] = max(values)
    return best


def measures_of(values: Sequence[Values]) -> list[Measure]:
    """The measures that any run has: first those of runs, then those of evaluations."""
    present = dict.fromkeys(key for run in values for key in run)
    known = [measure for measure in OF_A_RUN if measure.key in present]
    others = [key for key in present if key not in {measure.key for measure in OF_A_RUN}]
    return known + [_of_evaluation(key) for key in others]


def _of_evaluation(key: str) -> Measure:
    protocol, _, metric = key.rpartition(" ")
    name = f"{protocol.replace('_', '-')} {METRICS.get(metric, metric)}"
    if metric in DECIMALS:
        return Measure(key, name, 3, 1, "high")
    return Measure(key, f"{name} (%)", 1, 100, "high")
