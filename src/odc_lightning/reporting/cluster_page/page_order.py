"""The order of the page: by cluster, and in each the nearest to its centroid first."""

from dataclasses import dataclass

import numpy as np

from odc_lightning.utils.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class PageOrder:
    """Position of each image on the page.

    Attributes:
        order: (N,) the index of the image at each position.
        starts: (C + 1,) the first position of each cluster, and N.
    """

    order: IntArray
    starts: IntArray

    @staticmethod
    def of(labels: IntArray, distance: FloatArray, num_clusters: int) -> "PageOrder":
        """The order by cluster, then by distance, then by index."""
        order = np.lexsort((distance, labels))
        sizes = np.bincount(labels, minlength=num_clusters)
        return PageOrder(order, np.concatenate([[0], np.cumsum(sizes)]))

    @property
    def num_clusters(self) -> int:
        """C."""
        return len(self.starts) - 1

    def members(self, cluster: int) -> IntArray:
        """Indices of a cluster's images, the nearest first."""
        return self.order[self.starts[cluster] : self.starts[cluster + 1]]

    def positions(self) -> IntArray:
        """(N,) the position of each image."""
        positions = np.empty_like(self.order)
        positions[self.order] = np.arange(len(self.order))
        return positions
