"""A cheap digest of tensors, for ranks to compare what must be equal on all of them."""

import torch
from torch import Tensor

from odc_lightning.memory import ClusterMemory

ROWS = 2**14  # of the samples memory that are looked at each time


def digest(tensor: Tensor) -> Tensor:
    """A 64-bit number (0-dim int64) in which every bit of the tensor counts, and its place.

    The sum over all 32-bit words, or bytes, of word times an odd number that is its place's own,
    modulo 2^64: a word that differs alone always shows.
    """
    contiguous = tensor.detach().contiguous().flatten()
    words = contiguous.view(torch.int32 if contiguous.element_size() >= 4 else torch.uint8)
    places = torch.arange(len(words), device=tensor.device)
    # Knuth's multiplicative hash spreads the places; "| 1" makes them odd.
    return (words.to(torch.int64) * ((places * 2654435761) | 1)).sum()


def memory_digests(memory: ClusterMemory, turn: int) -> dict[str, Tensor]:
    """Digests of all that ranks must agree on.

    Args:
        memory: of one rank.
        turn: how often they were asked for before: of the features `ROWS` are looked at in turn,
            since all of them would be as much as a K-Means iteration reads.
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
