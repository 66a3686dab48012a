"""Rows of a tensor that may lie elsewhere than it is computed with, in another precision."""

from collections.abc import Iterator

import torch
from torch import Tensor

from odc_lightning.utils.blocks import block_rows


def rows_at(features: Tensor, indices: Tensor) -> Tensor:
    """Some rows (M, D) fp32 of features (N, D), beside the indices (M,) that name them."""
    return features[indices.to(features.device)].to(indices.device, torch.float32)


def put_rows(features: Tensor, indices: Tensor, rows: Tensor) -> None:
    """Replace rows (M,) of features (N, D) by others (M, D), rounded to the features' precision.

    Where an index occurs twice its rows must be equal.
    """
    features[indices.to(features.device)] = rows.to(features)


def blocks_of(features: Tensor, like: Tensor, elements_per_row: int) -> Iterator[Tensor]:
    """Features (N, D) in blocks, of the precision and on the device of another tensor.

    Args:
        features: wherever they lie.
        like: the other tensor; nothing is copied if the features are as it is.
        elements_per_row: of whatever is computed from a block.
    """
    for block in features.split(block_rows(max(elements_per_row, features.shape[1]))):
        yield block.to(like)
