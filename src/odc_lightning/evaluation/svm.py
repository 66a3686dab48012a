"""One linear SVM per class on each stage of the frozen network (Sec. 4.1, Table 3)."""

import logging
from collections.abc import Sequence

import numpy as np

from odc_lightning.evaluation.network import EvaluatedNetwork
from odc_lightning.evaluation.protocol import Protocol
from odc_lightning.metrics.linear_svm import COSTS
from odc_lightning.metrics.scores import Score
from odc_lightning.metrics.svm import svm_scores
from odc_lightning.utils.progress_bar import progress_bar

log = logging.getLogger(__name__)


class SVM(Protocol):
    """Mean average precision of SVMs over the classes, see `odc_lightning.metrics.svm_scores`.

    Args:
        layers: stages, and ``pooled`` for the backbone's output; None for all stages.
        costs: costs to choose from for each class; None for those of the paper.
        folds: of the cross-validation that chooses the cost.
        n_jobs: number of processes; -1 for one per core.
    """

    name = "svm"

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        costs: Sequence[float] | None = None,
        folds: int = 3,
        n_jobs: int = -1,
    ) -> None:
        self.chosen = layers
        self.costs = tuple(costs or COSTS)
        self.folds = folds
        self.n_jobs = n_jobs

    def skip_reason(self, network: EvaluatedNetwork) -> str | None:
        if network.images["train"].labels is not None:
            return "it is for multi-label images; linear and low_shot apply to these"
        return None

    def layers(self, network: EvaluatedNetwork) -> tuple[str, ...]:
        return tuple(self.chosen or network.backbone.stages)

    def __call__(self, network: EvaluatedNetwork) -> list[Score]:
        train, val = network.images["train"], network.images["val"]
        scores: list[Score] = []
        for layer in self.layers(network):
            with progress_bar(f"SVMs on {layer}") as advance:
                found = svm_scores(
                    network.features(layer, "train"),
                    train.objects,
                    network.features(layer, "val"),
                    val.objects,
                    costs=self.costs,
                    folds=self.folds,
                    n_jobs=self.n_jobs,
                    on_progress=advance,
                )
            warn_unconverged(layer, found.svms.unconverged, found.svms.fits)
            scores.append(Score(self.name, layer, "map", float(np.mean(found.ap))))
            scores.append(Score(self.name, layer, "map_sklearn", float(np.mean(found.ap_sklearn))))
        return scores + [best_of(scores, metric) for metric in ("map", "map_sklearn")]


def warn_unconverged(layer: str, unconverged: int, fits: int) -> None:
    """Log how many SVMs of a layer did not converge, if any."""
    if unconverged:
        log.warning(
            "%s: %d of %d SVMs did not converge within the reference code's 2,000 iterations",
            layer,
            unconverged,
            fits,
        )


def best_of(scores: Sequence[Score], metric: str) -> Score:
    """The best layer's score, as the paper's Table 3 reports it."""
    best = max((score for score in scores if score.metric == metric), key=lambda it: it.value)
    return Score(best.protocol, "best", metric, best.value, best.setting, best.spread)
