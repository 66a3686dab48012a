"""The training images that never give a gradient: held back, to measure the features on them."""

import numpy as np

from odc_lightning.utils.arrays import IntArray

# With fewer images than this, none is held back: the training needs them all.
FEWEST_IMAGES = 100
# Below 50 images a measure of them is mostly noise, and above 1,000 it hardly gets more precise.
LEAST, MOST = 50, 1000
LARGEST_SHARE = 0.2  # the training keeps four fifths, so `LEAST` holds from 250 images on
# Views of these images are drawn for an epoch of their own, which no training reaches.
VIEWS_EPOCH = 2**31
NUM_VIEWS = 4


def num_held_back(num_samples: int, share: float) -> int:
    """The number M of N images that are held back for ``data.held_back=share``.

    That is the share, but at least 50 and at most 1,000 images, and never more than a fifth; none
    for a share of 0, or with fewer than 100 images.
    """
    if share == 0 or num_samples < FEWEST_IMAGES:
        return 0
    wanted = min(max(round(share * num_samples), LEAST), MOST)
    return min(wanted, int(num_samples * LARGEST_SHARE))


def held_back_rows(num_samples: int, share: float, seed: int) -> IntArray:
    """The indices (M,) of the images that are held back, ascending; see `num_held_back`.

    They are a function of N, the share and the seed, and therefore the same in every epoch, on
    every rank and after a restart.
    """
    # Three numbers: the orders of the epochs are drawn from (seed, epoch).
    rng = np.random.default_rng((seed, 0, 1))
    drawn = rng.permutation(num_samples)[: num_held_back(num_samples, share)]
    return np.sort(drawn)
