"""Agreement of clusters with classes, for the clusters of the run and for K-Means on features."""

import numpy as np
from torch.nn.functional import normalize

from odc_lightning.clustering import kmeans
from odc_lightning.evaluation.network import EvaluatedNetwork
from odc_lightning.evaluation.protocol import Protocol, needs_one_class_each
from odc_lightning.metrics.clustering_scores import clustering_scores
from odc_lightning.metrics.scores import Score
from odc_lightning.models import POOLED
from odc_lightning.utils.text import quantity


class Clustering(Protocol):
    """Clustering scores of the training images, see `odc_lightning.metrics.clustering_scores`.

    Args:
        layer: layer whose L2-normalised features K-Means clusters, with one cluster per class.
        iterations: of K-Means.
        restarts: of K-Means, from other samples; the result with the lowest inertia counts.
    """

    name = "clustering"

    def __init__(self, layer: str = POOLED, iterations: int = 100, restarts: int = 5) -> None:
        self.layer = layer
        self.iterations = iterations
        self.restarts = restarts

    def skip_reason(self, network: EvaluatedNetwork) -> str | None:
        return needs_one_class_each(network)

    def layers(self, network: EvaluatedNetwork) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, network: EvaluatedNetwork) -> list[Score]:
        train = network.images["train"]
        names = [train.source.name(index) for index in range(len(train.source))]
        clusters = network.clusters_of(names)
        scores = [] if clusters is None else self._scores("run", train.classes, clusters)
        features = normalize(network.tensor(self.layer, "train"), dim=1)
        results = [
            kmeans(
                features, train.num_classes, iterations=self.iterations, seed=network.seed + restart
            )
            for restart in range(self.restarts)
        ]
        best = min(results, key=lambda result: result.inertia)
        return scores + self._scores(self.layer, train.classes, best.labels.cpu().numpy())

    def _scores(self, layer: str, truth: np.ndarray, clusters: np.ndarray) -> list[Score]:
        setting = quantity(len(np.unique(clusters)), "cluster")
        return [
            Score(self.name, layer, metric, value, setting)
            for metric, value in clustering_scores(truth, clusters).items()
        ]
