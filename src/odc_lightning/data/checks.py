"""Refuse, before anything is trained, what could only fail later."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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


def check_class_names(train: Sequence[str] | None, val: Sequence[str] | None) -> None:
    """Whether both splits number the same classes alike, for scores compare the numbers.

    Raises:
        ValueError: if both have classes, and not the same in the same order.
    """
    if train is None or val is None or list(train) == list(val):
        return
    only_train, only_val = sorted(set(train) - set(val)), sorted(set(val) - set(train))
    raise ValueError(
        f"data.train has {len(train)} classes and data.val {len(val)}, expected the same ones; "
        f"only in train: {only_train[:5]}, only in val: {only_val[:5]}. Give both the same class "
        "folders or labels, or set data.val=null."
    )
