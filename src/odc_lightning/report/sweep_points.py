"""Finished runs of a sweep by the value of one setting."""

import statistics
from pathlib import Path
from typing import NamedTuple

from omegaconf import OmegaConf

from odc_lightning.report.summary import read_summary

SCORES = {"knn_top1": ("kNN top-1 (%)", 100.0), "nmi": ("NMI with the classes", 1.0)}


class Point(NamedTuple):
    """The runs (seeds) of one value of a setting.

    Attributes:
        value: of the setting.
        scores: one a run, as shown.
        untrained: the same before training, of the runs that have it.
    """

    value: float
    scores: tuple[float, ...]
    untrained: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """Over the runs."""
        return statistics.fmean(self.scores)

    @property
    def spread(self) -> float:
        """Standard deviation (n - 1) over the runs; 0 for a single one."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else 0.0


def read_sweep(folder: Path, key: str, score: str) -> list[Point]:
    """Score the finished runs below a folder.

    Args:
        folder: of a sweep, with a folder for each run at any depth.
        key: of the config, whose value is a number.
        score: one of `SCORES`.

    Returns:
        A point a value, ascending.

    Raises:
        ValueError: no finished run there has both the setting and the score.
    """
    scale = SCORES[score][1]
    found: dict[float, tuple[list[float], list[float]]] = {}
    for file in sorted(folder.rglob("summary.json")):
        value = OmegaConf.select(OmegaConf.load(file.with_name("config.yaml")), key)
        summary = read_summary(file)
        measured, before = summary.get(score), summary["untrained"].get(score)
        if isinstance(value, int | float) and isinstance(measured, float):
            scores, untrained = found.setdefault(float(value), ([], []))
            scores.append(scale * measured)
            if isinstance(before, float):
                untrained.append(scale * before)
    if not found:
        raise ValueError(
            f"{folder} has no finished run with a number for {key} in its config.yaml and a "
            f"{score} in its summary.json; expected the folder of a sweep over {key}"
        )
    return [Point(value, *map(tuple, found[value])) for value in sorted(found)]
