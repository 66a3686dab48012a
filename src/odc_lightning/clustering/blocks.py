"""Rows of features that may be on another device or have another precision than the computation."""

from collections.abc import Iterator

import torch
from torch import Tensor

from odc_lightning.utils.blocks import block_rows


def rows_at(features: Tensor, indices: Tensor) -> Tensor:
    """The rows (M, D) fp32 of features (N, D) at indices (M,), on the device of the indices."""
    return features[indices.to(features.device)].to(indices.device, torch.float32)


def put_rows(features: Tensor, indices: Tensor, rows: Tensor) -> None:
    """Write rows (M, D) to features (N, D) at indices (M,), rounded to the features' precision.

    If an index occurs twice, its rows must be equal.
    """
    features[indices.to(features.device)] = rows.to(features)


def blocks_of(features: Tensor, like: Tensor, elements_per_row: int) -> Iterator[Tensor]:
    """Features (N, D) in blocks, with the precision and device of another tensor.

    Args:
        features: on any device or on disk, of any precision.
        like: the other tensor; if the features have its precision and device, nothing is copied.
        elements_per_row: numbers per row in the result that is computed from a block.
    """
    for block in features.split(block_rows(max(elements_per_row, features.shape[1]))):
        yield block.to(like)
