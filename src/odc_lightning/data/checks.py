"""Refuse, before anything is trained, what could only fail later."""

from __future__ import annotations

import torch
from torch import Tensor

_IMAGES_PER_CLUSTER = 128  # the paper's ratio: ImageNet's 1.28 million images in 10,000 clusters


def check_num_clusters(num_samples: int, num_clusters: int, small_cluster_threshold: int) -> None:
    """Whether N images can fill C clusters that are all larger than the threshold.

    Raises:
        ValueError: if C < 2, N < C or N < C * (threshold + 1), with a number that would do.
    """
    most = num_samples // (small_cluster_threshold + 1)  # clusters that are just not small
    if 2 <= num_clusters <= most:
        return
    problem = (
        f"algorithm.num_clusters={num_clusters} with {num_samples} images and "
        f"algorithm.small_clusters.threshold={small_cluster_threshold}: expected at least 2 "
        f"clusters with more than {small_cluster_threshold} images each"
    )
    if most < 2:
        raise ValueError(f"{problem}. Add images or lower algorithm.small_clusters.threshold.")
    suggested = min(most, max(2, num_samples // _IMAGES_PER_CLUSTER))
    raise ValueError(
        f"{problem}, so at most {most}. Try algorithm.num_clusters={suggested} (the paper has "
        f"about {_IMAGES_PER_CLUSTER} images a cluster), or up to {most} if that is near ten times the "
        "number of classes you expect."
    )


def check_batches(num_samples: int, batch_size: int, world_size: int, drop_last: bool) -> None:
    """Whether N images make at least one batch, and every rank's share suits batch normalisation.

    Raises:
        ValueError: if there are no images, if the global batch does not divide by the number of
            ranks, if no batch comes out, or if some batch leaves one sample to a rank.
    """
    if num_samples == 0:
        raise ValueError("there are no images to train on")
    if batch_size < 1 or batch_size % world_size != 0:
        raise ValueError(
            f"data.batch_size={batch_size} is the batch over all ranks; "
            f"expected a positive multiple of the {world_size} ranks"
        )
    per_rank = batch_size // world_size
    if drop_last and num_samples < batch_size:
        raise ValueError(
            f"{num_samples} images make no batch of data.batch_size={batch_size}, since "
            f"data.drop_last=true drops the incomplete one. {_advice(num_samples, world_size)}"
        )
    if per_rank == 1:
        raise ValueError(
            f"data.batch_size={batch_size} leaves one image to each of the {world_size} ranks, and "
            "batch normalisation cannot train on one; expected at least two a rank"
        )
    share = -(-num_samples // world_size)  # rounded up, as `EpochSampler` pads
    if not drop_last and share % per_rank == 1:
        raise ValueError(
            f"{num_samples} images in batches of data.batch_size={batch_size}: the last batch "
            "leaves one image to a rank, and batch normalisation cannot train on one. "
            "Set data.drop_last=true or another data.batch_size."
        )


def _advice(num_samples: int, world_size: int) -> str:
    """Suggest the largest power of two a rank that still fills a batch."""
    share = num_samples // world_size
    if share < 2:
        return "Add images."
    return f"Try data.batch_size={world_size * 2 ** (share.bit_length() - 1)}, or add images."


def check_view(view: Tensor, transform: str, image_size: int) -> None:
    """Whether a transform's result is what the network expects.

    Raises:
        ValueError: unless `view` is a float32 tensor (3, image_size, image_size).
    """
    shape = (3, image_size, image_size)
    if not isinstance(view, Tensor) or view.dtype != torch.float32 or view.shape != shape:
        given = f"{view.dtype} {tuple(view.shape)}" if isinstance(view, Tensor) else type(view)
        raise ValueError(
            f"data.{transform} gives {given}; expected torch.float32 {shape}, by "
            f"data.image_size={image_size}. Crop to it, and end with PILToTensor and ToDtype."
        )
