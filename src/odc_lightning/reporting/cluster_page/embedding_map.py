"""The map: features projected onto a plane."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from odc_lightning.reporting.cluster_page.page_order import PageOrder
from odc_lightning.utils.arrays import IntArray

DIRECTIONS = 50  # of the PCA ahead of t-SNE
MIN_TSNE_IMAGES = 6


def chosen_positions(page_order: PageOrder, limit: int, seed: int) -> IntArray:
    """Positions of the images on the map: the nearest of each cluster, and others at random.

    Args:
        page_order: of N images.
        limit: largest number of images on the map.
        seed: of the draw.

    Returns:
        Positions, ascending.
    """
    num_samples = len(page_order.order)
    if num_samples <= limit:
        return np.arange(num_samples)
    rng = np.random.default_rng(seed)
    first = page_order.starts[:-1][np.diff(page_order.starts) > 0]
    if len(first) > limit:
        first = rng.choice(first, limit, replace=False)
    others = np.setdiff1d(np.arange(num_samples), first)
    drawn = rng.choice(others, limit - len(first), replace=False)
    return np.sort(np.concatenate([first, drawn]))


def layout(features: Tensor, seed: int) -> NDArray[np.float64]:
    """Positions (M, 2) in the unit square, at which neighbours by features are neighbours.

    This is t-SNE of the first principal components. It starts from the first two of them, so groups
    keep their positions relative to each other.

    Args:
        features: (M, D).
        seed: of t-SNE.
    """
    rows = features.numpy()
    if (rows == rows[0]).all():
        return np.zeros((len(rows), 2))
    components = min(DIRECTIONS, *rows.shape)
    reduced = PCA(components, random_state=seed).fit_transform(rows)
    if len(rows) >= MIN_TSNE_IMAGES:
        perplexity = min(30.0, (len(rows) - 1) / 3)
        start = "pca" if components >= 2 else "random"
        reduced = TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(reduced)
    places = np.zeros((len(rows), 2))
    places[:, : reduced.shape[1]] = reduced[:, :2]
    # Screens are wide, and the plane's directions mean nothing: the longest one lies flat.
    if len(rows) >= MIN_TSNE_IMAGES:
        places = PCA(2, random_state=seed).fit_transform(places)
    places -= places.min(axis=0)
    # One scale for both directions.
    return places / (places.max() or 1.0)
