"""Rules that choose settings from the number and size of the images, and from the device.

Their constants were measured on small data sets (`docs/small_data.md`).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from odc_lightning.utils.text import quantity

CLUSTERS_PER_ROOT = 2  # C = 2 sqrt(N): 76 for 1,437 images, 283 for 20,000
BATCH_SIZES = (16, 32)
STEPS_PER_EPOCH = 20
TOTAL_STEPS = 5000
EPOCHS = range(10, 201)
LEARNING_RATE_AT_32 = 0.03
# From a pretrained network, whose features large steps make worse (docs/fine_tuning.md).
ADAPTING_EPOCHS = 6
ADAPTING_RATE_AT_32 = 0.003

NUM_CLUSTERS = "algorithm.num_clusters"
BATCH_SIZE = "data.batch_size"
MAX_EPOCHS = "trainer.max_epochs"
LEARNING_RATE = "optimizer.lr"
HYPERPARAMETERS = (NUM_CLUSTERS, BATCH_SIZE, MAX_EPOCHS, LEARNING_RATE)

# The largest sides, in pixels, that train in reasonable time; larger images are scaled down.
MAX_IMAGE_SIZE = {"gpu": 128, "cpu": 64}
MIN_IMAGE_SIZE = 16  # room for four halvings
# Crops show things larger than whole images do. At this share of the size they look as large
# (Touvron et al., NeurIPS 2019), and a step takes half the time.
VIEW_SHARE = 2 / 3
VIEW_STEP = 32  # pixels, of which most networks' sides are multiples
# Up to this side, a ResNet's usual stem would reduce an image too far.
SMALL_IMAGES = 64


class SuitedWeights(NamedTuple):
    """The pretrained network that suits a machine.

    Attributes:
        name: timm's name of its weights.
        image_size: side in pixels; None is the network's own.
        reason: for the log.
    """

    name: str
    image_size: int | None
    reason: str


# Pretrained networks under free licences. DINOv3's weights have a licence with conditions of use.
WEIGHTS = {
    "cpu": SuitedWeights(
        "tf_efficientnet_lite0.in1k",
        None,
        "without a GPU a small and fast network; trained on ImageNet's labels; Apache 2.0",
    ),
    "gpu": SuitedWeights(
        "vit_small_patch14_dinov2.lvd142m",
        224,  # 16 x 16 patches; its own 518 pixels take ten times as long
        "with a GPU a network whose neighbours are alike; DINOv2, trained without labels; "
        "Apache 2.0",
    ),
}


class Choice(NamedTuple):
    """A config key, its value, and the reason."""

    key: str
    value: float
    reason: str


class SuitedNetwork(NamedTuple):
    """The network and image size that suit a machine and its images.

    Attributes:
        model: option of the group ``model``.
        small_images: whether to use the stem for small images, if the network has one.
        image_size: side in pixels.
    """

    model: str
    small_images: bool
    image_size: int


def choose_hyperparameters(
    num_images: int,
    given: Mapping[str, float | None],
    num_held_back: int = 0,
    pretrained: bool = False,
) -> list[Choice]:
    """Values for the keys of `HYPERPARAMETERS` that are None.

    Args:
        num_images: N, the number of training images.
        given: values of these keys; values other than None are kept, and the others depend on them.
        num_held_back: M of them that no training batch has; the clusters have all N.
        pretrained: whether training starts from a pretrained network, which needs few small steps.

    Returns:
        A choice for each key without a value, in the order of `HYPERPARAMETERS`.
    """
    choices: list[Choice] = []

    def settle(key: str, value: float, reason: str) -> float:
        known = given.get(key)
        if known is None:
            choices.append(Choice(key, value, reason))
            return value
        return known

    clusters = min(round(CLUSTERS_PER_ROOT * math.sqrt(num_images)), max(2, num_images // 2))
    settle(
        NUM_CLUSTERS,
        clusters,
        f"about {quantity(round(num_images / clusters), 'image')} per cluster",
    )

    num_trained = num_images - num_held_back
    candidates = [size for size in BATCH_SIZES if num_trained // size >= STEPS_PER_EPOCH]
    size = max(candidates, default=min(BATCH_SIZES[0], num_trained))
    batch = settle(BATCH_SIZE, size, "small, because small data sets need many steps")

    steps = max(1, int(num_trained // batch))
    epochs = ADAPTING_EPOCHS if pretrained else _within(round(TOTAL_STEPS / steps), EPOCHS)
    rate = ADAPTING_RATE_AT_32 if pretrained else LEARNING_RATE_AT_32
    settle(MAX_EPOCHS, epochs, f"{quantity(steps * epochs, 'step')} in total")
    settle(
        LEARNING_RATE,
        rate * batch / 32,
        f"{rate} for a batch of 32, scaled in proportion",
    )
    return choices


def suited_weights(has_gpu: bool) -> SuitedWeights:
    """The pretrained network for a machine with or without a GPU."""
    return WEIGHTS["gpu" if has_gpu else "cpu"]


def suited_view_size(image_size: int) -> int:
    """The side in pixels of training views for a network that takes images of any size."""
    side = round(VIEW_SHARE * image_size / VIEW_STEP) * VIEW_STEP
    return min(image_size, max(VIEW_STEP, side))


def suited_network(side: float, has_gpu: bool) -> SuitedNetwork:
    """The network and image size for images of a given side.

    Args:
        side: usual length of an image's shorter side, in pixels.
        has_gpu: whether the training runs on a GPU.
    """
    largest = MAX_IMAGE_SIZE["gpu" if has_gpu else "cpu"]
    size = min(largest, max(MIN_IMAGE_SIZE, int(side) // 8 * 8))
    return SuitedNetwork("resnet18" if has_gpu else "convnet", size <= SMALL_IMAGES, size)


def _within(value: int, bounds: range) -> int:
    return min(max(value, bounds.start), bounds.stop - 1)
