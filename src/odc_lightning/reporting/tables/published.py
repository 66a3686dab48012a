"""Published scores, for comparison with an evaluation."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class PublishedScore:
    """One number of the paper or of its authors' model zoo.

    Layer, setting and metric are those of `odc_lightning.metrics.scores.Score`.

    Attributes:
        table: ``1`` ... ``4`` of the paper, or ``zoo``. Table 4 has networks that were fine-tuned
            from others, such as ``ODC from Jigsaw``, and these others.
        backbone: ``alexnet`` or ``resnet50``.
        benchmark: data and protocol, such as ``imagenet_linear``.
        layer: ``best`` for the best layer, if the source does not name it.
        setting: empty without one.
        metric: ``top1``, ``top5`` or ``map``.
        method: its name, without a citation.
        value: in percent, as printed.
        note: remark of the source on the number; empty without one.
    """

    table: str
    backbone: str
    benchmark: str
    layer: str
    setting: str
    metric: str
    method: str
    value: float
    note: str


def published_scores(backbone: str, benchmark: str) -> list[PublishedScore]:
    """Published scores of a backbone and a benchmark, in the order of the sources.

    Args:
        backbone: as in `Evaluation`.
        benchmark: `Evaluation.benchmark`; most have no published scores.
    """
    return [
        score for score in _read() if score.backbone == backbone and score.benchmark == benchmark
    ]


@cache
def _read() -> tuple[PublishedScore, ...]:
    file = resources.files(__package__).joinpath("published.csv")
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return tuple(PublishedScore(value=float(row.pop("value")), **row) for row in rows)
