"""Images that are nearly the same picture, whatever the network thinks of them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_matrix  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from odc_lightning.gallery.clustered import BLOCK_ELEMENTS, IntArray

SIDE = 16  # pixels of a signature
THRESHOLD = 3.0  # mean difference of two signatures, of 255
_LOOK_AHEAD = 5  # images of the same hash that each one is compared with

Signatures = NDArray[np.uint8]


def signature(image: Image.Image) -> Signatures:
    """(SIDE * SIDE,) the image in so few greys that another size or a second saving of it shows
    the same."""
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.uint8).ravel()


def near_duplicates(
    signatures: Signatures, candidates: IntArray, threshold: float = THRESHOLD
) -> list[IntArray]:
    """Groups of images that are linked by differences of at most a threshold.

    An image is compared with its neighbours in the space of features, and with some of those that
    are bright and dark at the same places, so the work is linear in N.

    Args:
        signatures: (N, S).
        candidates: (N, k) indices of neighbours, -1 for none.
        threshold: mean absolute difference of two signatures, of 255 greys.

    Returns:
        Indices of each group, rising; the largest groups first.
    """
    pairs = np.concatenate([_pairs(candidates), _of_the_same_hash(signatures)])
    alike = np.concatenate(
        [np.zeros(0, dtype=bool)]
        + [
            differences(signatures, some) <= threshold
            for some in np.array_split(pairs, -(-pairs.size * SIDE**2 // BLOCK_ELEMENTS) or 1)
        ]
    )
    one, other = pairs[alike].T
    links = coo_matrix((np.ones(len(one), dtype=bool), (one, other)), shape=(len(signatures),) * 2)
    _, group = connected_components(links, directed=False)
    sizes = np.bincount(group, minlength=1)
    rows = np.flatnonzero(sizes[group] > 1)
    rows = rows[np.argsort(group[rows], kind="stable")]
    _, starts = np.unique(group[rows], return_index=True)
    groups = np.split(rows, starts[1:]) if len(rows) > 0 else []
    return sorted(groups, key=lambda each: (-len(each), each[0]))


def differences(signatures: Signatures, pairs: IntArray) -> NDArray[np.float64]:
    """Mean absolute difference (M,) of the signatures of each pair (M, 2)."""
    one, other = (signatures[column].astype(np.int16) for column in pairs.T)
    result: NDArray[np.float64] = np.abs(one - other).mean(axis=1)
    return result


def _pairs(candidates: IntArray) -> IntArray:
    """(M, 2) of each image and its candidates."""
    one = np.repeat(np.arange(len(candidates)), candidates.shape[1])
    pairs = np.stack([one, candidates.ravel()], axis=1)
    return pairs[pairs[:, 1] >= 0]


def _of_the_same_hash(signatures: Signatures) -> IntArray:
    """(M, 2) of images whose 8 x 8 parts are above their mean brightness at the same places."""
    half = SIDE // 2
    small = signatures.reshape(-1, half, 2, half, 2).mean(axis=(2, 4)).reshape(-1, half * half)
    bits = np.packbits(small > small.mean(axis=1, keepdims=True), axis=1)
    hashes = np.ascontiguousarray(bits).view(np.uint64).ravel()
    order = np.lexsort((small.mean(axis=1), hashes))
    pairs = []
    for step in range(1, _LOOK_AHEAD + 1):
        one, other = order[:-step], order[step:]
        same = hashes[one] == hashes[other]
        pairs.append(np.stack([one[same], other[same]], axis=1))
    return np.concatenate(pairs)
