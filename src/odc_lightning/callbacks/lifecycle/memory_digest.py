"""Cheap digests of tensors, by which ranks compare memories that must be equal."""

import torch
from torch import Tensor

from odc_lightning.memory import ClusterMemory

ROWS = 2**14  # rows of the samples memory in each digest


def digest(tensor: Tensor) -> Tensor:
    """Compute a 64-bit digest (0-dim int64) that depends on all bits and their positions.

    It is a sum modulo 2^64 over all 32-bit words (bytes, for smaller elements): each word times an
    odd number that depends on its position. A difference in one word always changes the digest.
    """
    contiguous = tensor.detach().contiguous().flatten()
    words = contiguous.view(torch.int32 if contiguous.element_size() >= 4 else torch.uint8)
    positions = torch.arange(len(words), device=tensor.device)
    # Knuth's multiplicative hash spreads the positions; "| 1" makes them odd.
    return (words.to(torch.int64) * ((positions * 2654435761) | 1)).sum()


def memory_digests(memory: ClusterMemory, turn: int) -> dict[str, Tensor]:
    """Compute the digest of each tensor that must be equal on all ranks.

    Args:
        memory: the memory of this rank.
        turn: number of the comparison. Each one covers the next `ROWS` rows of the features, since
            reading all of them costs as much as a K-Means iteration.

    Returns:
        Digests, 0-dim int64 each, by name of the tensor.
    """
    blocks = -(-memory.num_samples // ROWS)
    first = turn % blocks * ROWS
    parts = {
        "features": memory.features[first : first + ROWS].to(memory.labels.device),
        "labels": memory.labels,
        "sums": memory.sums,
        "counts": memory.counts,
        "centroids": memory.centroids,
        "offsets": memory.offsets,
    }
    return {name: digest(tensor) for name, tensor in parts.items()}
