"""Near-duplicates: images with nearly the same pixels, independent of the network."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_matrix  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from odc_lightning.clustering import assign
from odc_lightning.reporting.cluster_page.measures import nearest_clusters
from odc_lightning.reporting.cluster_page.neighbours import NEAR_CLUSTERS, near_neighbours
from odc_lightning.reporting.cluster_page.page_order import PageOrder
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.blocks import blocks

SIDE = 16  # pixels of a signature
THRESHOLD = 3.0  # mean difference of two signatures, of 255
_COMPARED = 5  # candidates that each image is compared with
_PER_CELL = 500
_MAX_LEADERS = 1000  # of a chain; the images left after them are in no group

Signatures = NDArray[np.uint8]


def signature(image: Image.Image) -> Signatures:
    """Grey values (SIDE * SIDE,) of the image; those of a resized or re-encoded copy are close."""
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.uint8).ravel()


def are_alike(one: Signatures, other: Signatures) -> bool:
    """Whether two images with these signatures (SIDE * SIDE,) are near-duplicates."""
    return float(np.abs(one.astype(np.int16) - other).mean()) <= THRESHOLD


def near_duplicates(signatures: Signatures, threshold: float = THRESHOLD) -> list[IntArray]:
    """Groups of images that differ from the first of them by a threshold at most.

    Each image is compared with the few images with the nearest signatures. These are sought in the
    cells around images that are drawn at random, so the work is far less than N x N.

    Args:
        signatures: (N, S).
        threshold: mean absolute difference of two signatures, of 255 greys.

    Returns:
        Indices of each group, ascending; the largest groups first.
    """
    if len(signatures) < 2:
        return []
    pairs = look_alikes(signatures)
    parts = (pairs[rows] for rows in blocks(len(pairs), signatures.shape[1]))
    alike = np.concatenate([differences(signatures, some) <= threshold for some in parts])
    one, other = pairs[alike].T
    links = coo_matrix((np.ones(len(one), dtype=bool), (one, other)), shape=(len(signatures),) * 2)
    _, chain = connected_components(links, directed=False)
    rows = np.flatnonzero(np.bincount(chain)[chain] > 1)
    rows = rows[np.argsort(chain[rows], kind="stable")]
    _, starts = np.unique(chain[rows], return_index=True)
    chains = np.split(rows, starts[1:]) if len(rows) > 0 else []
    groups = [group for each in chains for group in around_leaders(signatures, each, threshold)]
    return sorted(groups, key=lambda each: (-len(each), each[0]))


def around_leaders(signatures: Signatures, chain: IntArray, threshold: float) -> Iterator[IntArray]:
    """Split a chain of look-alikes, whose ends need not be alike, into groups that are.

    Args:
        signatures: (N, S).
        chain: indices of its images, ascending.
        threshold: see `near_duplicates`.

    Yields:
        The first image without a group, with all images that are like it, if there are any.
    """
    for _ in range(_MAX_LEADERS):
        if len(chain) < 2:
            return
        pairs = np.stack([np.full(len(chain), chain[0]), chain], axis=1)
        alike = differences(signatures, pairs) <= threshold
        if alike.sum() > 1:
            yield chain[alike]
        chain = chain[~alike]


def look_alikes(signatures: Signatures) -> IntArray:
    """Pairs (M, 2) of each image and those with the nearest signatures, at half the resolution."""
    half = SIDE // 2
    greys = signatures.reshape(-1, half, 2, half, 2).mean(axis=(2, 4), dtype=np.float32)
    features = torch.from_numpy(greys.reshape(-1, half * half))
    number = max(1, len(features) // _PER_CELL)
    drawn = np.random.default_rng(0).choice(len(features), number, replace=False)
    centres = features[torch.from_numpy(drawn)]
    cells = assign(features, centres).numpy()
    page_order = PageOrder.of(cells, np.zeros(len(cells), dtype=np.float32), number)
    near, _ = nearest_clusters(centres, np.diff(page_order.starts), NEAR_CLUSTERS)
    _, neighbours = near_neighbours(features, page_order, near, _COMPARED)
    one = np.repeat(np.arange(len(features)), _COMPARED)
    pairs = np.stack([one, neighbours.ravel()], axis=1)
    return pairs[pairs[:, 1] >= 0]


def differences(signatures: Signatures, pairs: IntArray) -> NDArray[np.float64]:
    """Mean absolute difference (M,) of the signatures of each pair (M, 2)."""
    one, other = (signatures[column].astype(np.int16) for column in pairs.T)
    result: NDArray[np.float64] = np.abs(one - other).mean(axis=1)
    return result
