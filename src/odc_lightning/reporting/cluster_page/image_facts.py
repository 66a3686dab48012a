"""Facts of the images, from which the rows of the page are taken."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odc_lightning.reporting.cluster_page.measures import Measures
from odc_lightning.reporting.cluster_page.page_order import PageOrder
from odc_lightning.runs.clustered_images import ClusteredImages
from odc_lightning.utils.arrays import FloatArray, IntArray


@dataclass
class ImageFacts:
    """Facts of N images.

    Attributes:
        clustered, measures, page_order: of the images; see there.
        scores: (N,) outlier scores.
        classes: (N,) true classes, -1 where unknown; None if there are none.
    """

    clustered: ClusteredImages
    measures: Measures
    page_order: PageOrder
    scores: FloatArray
    classes: IntArray | None

    def columns(self, indices: IntArray) -> dict[str, list[Any]]:
        """Columns of JSON types for some images.

        Returns:
            ``name``, ``distance``, ``margin``, ``second``, ``score``, and ``label`` with classes.
        """
        source = self.clustered.source
        columns: dict[str, list[Any]] = {
            "name": [source.name(int(index)) for index in indices],
            "distance": rounded(self.measures.distance[indices]),
            "margin": rounded(self.measures.margin[indices]),
            "second": self.measures.second[indices].tolist(),
            "score": rounded(self.scores[indices], 2),
        }
        if self.classes is not None:
            columns["label"] = self.classes[indices].tolist()
        return columns

    def with_places(self, indices: IntArray) -> dict[str, list[Any]]:
        """`columns` with the ``cluster`` of each image and its ``position`` on the page."""
        return {
            **self.columns(indices),
            "cluster": self.clustered.labels[indices].tolist(),
            "position": self.page_order.positions()[indices].tolist(),
        }


def rounded(values: NDArray[np.floating[Any]], digits: int = 4) -> list[float | None]:
    """Rounded numbers for JSON; None for NaN and infinity."""
    return [round(float(value), digits) if np.isfinite(value) else None for value in values]
