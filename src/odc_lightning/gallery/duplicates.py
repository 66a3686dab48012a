"""Images that are nearly the same picture, whatever the network thinks of them."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_matrix  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from odc_lightning.clustering import assign
from odc_lightning.gallery.arrangement import Arrangement
from odc_lightning.gallery.clustered import BLOCK_ELEMENTS, IntArray
from odc_lightning.gallery.measures import nearest_clusters
from odc_lightning.gallery.neighbours import LOOKED_AT, near_neighbours

SIDE = 16  # pixels of a signature
THRESHOLD = 3.0  # mean difference of two signatures, of 255
_COMPARED = 5  # images that each one is compared with
_PER_CELL = 500

Signatures = NDArray[np.uint8]


def signature(image: Image.Image) -> Signatures:
    """(SIDE * SIDE,) the image in so few greys that another size or a second saving of it shows
    the same."""
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.uint8).ravel()


def near_duplicates(signatures: Signatures, threshold: float = THRESHOLD) -> list[IntArray]:
    """Groups of images that are linked by differences of at most a threshold.

    An image is compared with those few whose signatures are nearest, sought around some images
    that are drawn at random, so the work is far from N x N.

    Args:
        signatures: (N, S).
        threshold: mean absolute difference of two signatures, of 255 greys.

    Returns:
        Indices of each group, rising; the largest groups first.
    """
    if len(signatures) < 2:
        return []
    pairs = look_alikes(signatures)
    step = max(1, BLOCK_ELEMENTS // signatures.shape[1])
    blocks = [pairs[start : start + step] for start in range(0, len(pairs), step)]
    alike = np.concatenate([differences(signatures, some) <= threshold for some in blocks])
    one, other = pairs[alike].T
    links = coo_matrix((np.ones(len(one), dtype=bool), (one, other)), shape=(len(signatures),) * 2)
    _, group = connected_components(links, directed=False)
    rows = np.flatnonzero(np.bincount(group)[group] > 1)
    rows = rows[np.argsort(group[rows], kind="stable")]
    _, starts = np.unique(group[rows], return_index=True)
    groups = np.split(rows, starts[1:]) if len(rows) > 0 else []
    return sorted(groups, key=lambda each: (-len(each), each[0]))


def look_alikes(signatures: Signatures) -> IntArray:
    """(M, 2) each image with the few whose signatures, a quarter as fine, are nearest."""
    half = SIDE // 2
    greys = signatures.reshape(-1, half, 2, half, 2).mean(axis=(2, 4), dtype=np.float32)
    features = torch.from_numpy(greys.reshape(-1, half * half))
    number = max(1, len(features) // _PER_CELL)
    drawn = np.random.default_rng(0).choice(len(features), number, replace=False)
    centres = features[torch.from_numpy(drawn)]
    cells = assign(features, centres).numpy()
    arrangement = Arrangement.of(cells, np.zeros(len(cells), dtype=np.float32), number)
    near, _ = nearest_clusters(centres, np.diff(arrangement.starts), LOOKED_AT)
    _, neighbours = near_neighbours(features, arrangement, near, _COMPARED)
    one = np.repeat(np.arange(len(features)), _COMPARED)
    pairs = np.stack([one, neighbours.ravel()], axis=1)
    return pairs[pairs[:, 1] >= 0]


def differences(signatures: Signatures, pairs: IntArray) -> NDArray[np.float64]:
    """Mean absolute difference (M,) of the signatures of each pair (M, 2)."""
    one, other = (signatures[column].astype(np.int16) for column in pairs.T)
    result: NDArray[np.float64] = np.abs(one - other).mean(axis=1)
    return result
