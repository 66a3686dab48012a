"""Checks of the data before training starts, for errors that would otherwise show later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from odc_lightning.data.held_back import LARGEST_SHARE
from odc_lightning.data.subset import SUBSET_KEYS


def check_choices(
    on_error: str,
    num_views: int,
    subset: Iterable[str] | None,
    seed: int,
    held_back: float = 0.0,
) -> None:
    """Check those settings of the data module that do not depend on the images.

    Args:
        on_error, num_views, seed, held_back: see `odc_lightning.data.ImageDataModule`.
        subset: the keys of ``data.subset``.

    Raises:
        ValueError: for the first value that is not allowed.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(f"data.on_error={on_error!r}; expected raise or skip")
    if num_views < 1:
        raise ValueError(f"data.num_views={num_views}; expected 1 or more")
    unknown = set(subset or ()) - set(SUBSET_KEYS)
    if unknown:
        raise ValueError(
            f"data.subset has {', '.join(sorted(unknown))}; expected num_images, or "
            "num_classes and images_per_class, optionally with imbalance and seed"
        )
    if seed < 0:
        raise ValueError(f"data.seed={seed}; expected 0 or more")
    if not 0 <= held_back <= LARGEST_SHARE:
        raise ValueError(
            f"data.held_back={held_back}; expected a share of the images from 0 to {LARGEST_SHARE}"
        )


def check_batches(num_samples: int, batch_size: int, world_size: int, drop_last: bool) -> None:
    """Check that N images fill a batch, and that each rank's share suits batch normalisation.

    Raises:
        ValueError: if there are no images, if the global batch size is not a multiple of the number
            of ranks, if the images fill no batch, or if a rank gets a batch of one image.
    """
    if num_samples == 0:
        raise ValueError("there are no images to train on; expected at least one in data.train")
    if batch_size < 1 or batch_size % world_size != 0:
        raise ValueError(
            f"data.batch_size={batch_size} is the global batch size, over all ranks; "
            f"expected a positive multiple of the {world_size} ranks"
        )
    per_rank = batch_size // world_size
    if drop_last and num_samples < batch_size:
        raise ValueError(
            f"{num_samples} images do not fill a batch of data.batch_size={batch_size}, and "
            f"data.drop_last=true drops incomplete batches. {_advice(num_samples, world_size)}"
        )
    if per_rank == 1:
        raise ValueError(
            f"data.batch_size={batch_size} gives each rank one image, and batch normalisation "
            "cannot train on one; expected at least two images per rank"
        )
    share = -(-num_samples // world_size)  # rounded up, as `EpochSampler` pads
    if not drop_last and share % per_rank == 1:
        raise ValueError(
            f"{num_samples} images in batches of data.batch_size={batch_size}: the last batch "
            "has one image per rank, and batch normalisation cannot train on one. "
            "Set data.drop_last=true or another data.batch_size."
        )


def _advice(num_samples: int, world_size: int) -> str:
    """Suggest the largest batch size that can be filled and is a power of two per rank."""
    share = num_samples // world_size
    if share < 2:
        return "Add images."
    return f"Try data.batch_size={world_size * 2 ** (share.bit_length() - 1)}, or add images."


def check_view(view: Tensor, transform: str, side: int, key: str = "image_size") -> None:
    """Check that a transform's result has the type and shape that the network expects.

    Raises:
        ValueError: unless `view` is a float32 tensor (3, side, side); ``data.key`` is the side.
    """
    shape = (3, side, side)
    if not isinstance(view, Tensor) or view.dtype != torch.float32 or view.shape != shape:
        given = f"{view.dtype} {tuple(view.shape)}" if isinstance(view, Tensor) else type(view)
        raise ValueError(
            f"data.{transform} gives {given}; expected torch.float32 {shape}, as "
            f"data.{key}={side} says. Crop to that size, and end with PILToTensor and "
            "ToDtype."
        )


def check_class_names(train: Sequence[str] | None, val: Sequence[str] | None) -> None:
    """Check that both splits number their classes alike, because scores compare the numbers.

    Raises:
        ValueError: if both have classes, and these differ or are in another order.
    """
    if train is None or val is None or list(train) == list(val):
        return
    only_train, only_val = sorted(set(train) - set(val)), sorted(set(val) - set(train))
    raise ValueError(
        f"data.train has {len(train)} classes and data.val {len(val)}, expected the same ones; "
        f"only in train: {only_train[:5]}, only in val: {only_val[:5]}. Give both the same class "
        "folders or labels, or set data.val=null."
    )
