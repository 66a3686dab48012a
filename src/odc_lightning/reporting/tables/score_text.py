"""Text of scores, metrics and settings."""

import math
import re

from odc_lightning.metrics.scores import Score

METRICS = {
    "top1": "top-1",
    "top5": "top-5",
    "map": "mAP",
    "map_sklearn": "mAP of scikit-learn",
    "nmi": "NMI",
    "ami": "AMI",
    "ari": "ARI",
    "purity": "purity",
    "accuracy": "accuracy",
}
# With three decimals, as in the summary of a run; all other metrics are shares, in percent.
DECIMALS = ("nmi", "ami", "ari")
UNKNOWN = "–"


def metric_text(metric: str) -> str:
    """``top-1 (%)`` for ``top1``: the name and, if it has one, the unit."""
    return METRICS.get(metric, metric) + ("" if metric in DECIMALS else " (%)")


def num_shots(setting: str) -> int | None:
    """16 for ``16 shots``; None for another setting."""
    found = re.fullmatch(r"(\d+) shots?", setting)
    return int(found[1]) if found else None


def score_text(score: Score) -> str:
    """``57.6``, or ``57.6 ± 0.4`` with a spread; a dash for NaN."""
    if not math.isfinite(score.value):
        return UNKNOWN
    text = _number(score.metric, score.value)
    if score.spread is not None and math.isfinite(score.spread):
        text += f" ± {_number(score.metric, score.spread)}"
    return text


def printed_value(score: Score) -> float:
    """The value rounded to the printed digits, so that equal texts are equal values."""
    return float(_number(score.metric, score.value)) if math.isfinite(score.value) else -math.inf


def _number(metric: str, value: float) -> str:
    # Without this 33.15 % would be rounded down and 54.75 % up, as their binary fractions fall.
    value += 1e-9
    return f"{value:z.3f}" if metric in DECIMALS else f"{100 * value:z.1f}"
