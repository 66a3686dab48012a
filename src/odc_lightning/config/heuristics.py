"""Settings that follow from the number of images, for those who do not want to choose them."""

import math
from collections.abc import Mapping
from typing import NamedTuple

CLUSTERS_PER_ROOT = 2  # C = 2 sqrt(N): 76 for 1,437 images, 283 for 20,000
BATCH_SIZES = (16, 32)
STEPS_PER_EPOCH = 20
TOTAL_STEPS = 5000
EPOCHS = range(10, 201)
LEARNING_RATE_AT_32 = 0.03

NUM_CLUSTERS = "algorithm.num_clusters"
BATCH_SIZE = "data.batch_size"
MAX_EPOCHS = "trainer.max_epochs"
LEARNING_RATE = "optimizer.lr"
SIZED = (NUM_CLUSTERS, BATCH_SIZE, MAX_EPOCHS, LEARNING_RATE)


class Choice(NamedTuple):
    """A config key, its value, and why."""

    key: str
    value: float
    reason: str


def choose(num_images: int, given: Mapping[str, float | None]) -> list[Choice]:
    """Values for what is None, measured on small data sets.

    Args:
        num_images: N, of training.
        given: values of the keys in `SIZED`; those that are there are kept and heeded.

    Returns:
        A choice for each key without a value, in the order of `SIZED`.
    """
    choices: list[Choice] = []

    def settle(key: str, value: float, reason: str) -> float:
        known = given.get(key)
        if known is None:
            choices.append(Choice(key, value, reason))
            return value
        return known

    clusters = min(round(CLUSTERS_PER_ROOT * math.sqrt(num_images)), max(2, num_images // 2))
    settle(NUM_CLUSTERS, clusters, f"about {round(num_images / clusters)} images each")

    fitting = [size for size in BATCH_SIZES if num_images // size >= STEPS_PER_EPOCH]
    size = max(fitting, default=min(BATCH_SIZES[0], num_images))
    batch = settle(BATCH_SIZE, size, "small, for many steps: that is what small data lacks")

    steps = max(1, int(num_images // batch))
    epochs = _within(round(TOTAL_STEPS / steps), EPOCHS)
    settle(MAX_EPOCHS, epochs, f"{steps * epochs:,} steps")
    settle(
        LEARNING_RATE,
        LEARNING_RATE_AT_32 * batch / 32,
        f"{LEARNING_RATE_AT_32} for 32, in proportion",
    )
    return choices


def _within(value: int, bounds: range) -> int:
    return min(max(value, bounds.start), bounds.stop - 1)
