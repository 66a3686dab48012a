"""Published scores, to stand beside those of an evaluation."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class PublishedScore:
    """One number of the paper or of its authors' model zoo.

    Layer, setting and metric are those of `odc_lightning.metrics.scores.Score`.

    Attributes:
        table: ``1`` ... ``4`` of the paper, or ``zoo``. Those of Table 4 are of networks that were
            fine-tuned from other ones, such as ``ODC from Jigsaw``, and of these other ones.
        backbone: ``alexnet`` or ``resnet50``.
        benchmark: data and protocol, such as ``imagenet_linear``.
        layer: ``best`` where the best one is meant and it is not said which that is.
        setting: empty if there is none.
        metric: ``top1``, ``top5`` or ``map``.
        method: its name, without a citation.
        value: in percent, as printed.
        note: what the source says about the number, if anything.
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
    """What was published for a backbone and a benchmark, in the order of the sources.

    Args:
        backbone: as an `Evaluation` names it.
        benchmark: as `Evaluation.benchmark` says it; none are published for most.
    """
    return [
        score for score in _read() if score.backbone == backbone and score.benchmark == benchmark
    ]


@cache
def _read() -> tuple[PublishedScore, ...]:
    file = resources.files(__package__).joinpath("published.csv")
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return tuple(PublishedScore(value=float(row.pop("value")), **row) for row in rows)
