"""Few labels per class: linear SVMs on frozen features (Sec. 4.1, Table 3 and Figure 3)."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from odc_lightning.evaluation.network import EvaluatedNetwork
from odc_lightning.evaluation.protocol import Protocol
from odc_lightning.evaluation.svm import best_of, warn_unconverged
from odc_lightning.metrics.linear_svm import COSTS
from odc_lightning.metrics.low_shot import low_shot_scores
from odc_lightning.metrics.low_shot_draws import largest_shot
from odc_lightning.metrics.low_shot_settings import SHOTS, ChooseCost, LowShotSettings
from odc_lightning.metrics.scores import Score
from odc_lightning.models import POOLED
from odc_lightning.utils.progress_bar import progress_bar


class LowShot(Protocol):
    """Low-shot scores for each number of shots and their mean, see `metrics.low_shot_scores`.

    Args:
        layers: stages, and ``pooled`` for the backbone's output.
        shots: numbers of positive images per class.
        draws: independent draws for each number of shots; their mean counts.
        costs: costs to choose from; None for those of the paper.
        choose_cost: ``cross_validation``, or ``test_set`` as in the reference code.
        n_jobs: number of processes; -1 for one per core.

    Raises:
        ValueError: there are no draws, layers or shots, or ``choose_cost`` is unknown.
    """

    name = "low_shot"

    def __init__(
        self,
        layers: Sequence[str] = (POOLED,),
        shots: Sequence[int] = SHOTS,
        draws: int = 5,
        costs: Sequence[float] | None = None,
        choose_cost: ChooseCost = "cross_validation",
        n_jobs: int = -1,
    ) -> None:
        if draws < 1 or not layers or not shots:
            raise ValueError(
                f"protocol.low_shot: draws={draws}, layers={list(layers)}, shots={list(shots)}; "
                "expected at least one of each"
            )
        if choose_cost not in get_args(ChooseCost):
            raise ValueError(
                f"protocol.low_shot.choose_cost={choose_cost!r}; expected one of "
                f"{get_args(ChooseCost)}"
            )
        self.chosen = layers
        self.shots = tuple(shots)
        self.draws = draws
        self.costs = tuple(costs or COSTS)
        self.choose_cost: ChooseCost = choose_cost
        self.n_jobs = n_jobs

    def skip_reason(self, network: EvaluatedNetwork) -> str | None:
        possible = largest_shot(network.images["train"].objects)
        if possible < max(self.shots):
            return (
                f"it draws up to {max(self.shots)} images per class, but one class has enough for "
                f"{possible} only; set protocol.low_shot.shots to smaller numbers"
            )
        return None

    def layers(self, network: EvaluatedNetwork) -> tuple[str, ...]:
        return tuple(self.chosen)

    def __call__(self, network: EvaluatedNetwork) -> list[Score]:
        train, val = network.images["train"], network.images["val"]
        scores: list[Score] = []
        for layer in self.chosen:
            with progress_bar(f"low-shot SVMs on {layer}") as advance:
                results = low_shot_scores(
                    network.features(layer, "train"),
                    train.objects,
                    network.features(layer, "val"),
                    val.objects,
                    LowShotSettings(
                        single_label=train.labels is not None,
                        shots=self.shots,
                        draws=self.draws,
                        choose_cost=self.choose_cost,
                        costs=self.costs,
                        seed=network.seed,
                    ),
                    n_jobs=self.n_jobs,
                    on_progress=advance,
                )
            warn_unconverged(layer, results.unconverged, results.fits)
            metrics = {
                "top1": results.top1,
                "map": results.map,
                "map_sklearn": results.map_sklearn,
            }
            for metric, values in metrics.items():
                if values is not None:
                    scores += self._summarised(layer, metric, values)
        if len(self.chosen) > 1:
            means = [score for score in scores if score.setting == "mean"]
            measured = dict.fromkeys(score.metric for score in means)
            scores += [best_of(means, metric) for metric in measured]
        return scores

    def _summarised(self, layer: str, metric: str, values: NDArray[np.float64]) -> list[Score]:
        """Mean and standard deviation over the draws (S, K) for each shot, and over all shots."""
        rows = [*zip(self.shots, values.T, strict=True)]
        settings = [(f"{shot} {'shot' if shot == 1 else 'shots'}", column) for shot, column in rows]
        settings.append(("mean", values.mean(axis=1)))
        return [
            Score(
                self.name,
                layer,
                metric,
                float(column.mean()),
                setting,
                float(column.std(ddof=1)) if len(column) > 1 else None,
            )
            for setting, column in settings
        ]
