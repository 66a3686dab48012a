"""Nearest neighbours by cosine similarity, exactly: faiss where it imports, torch elsewhere."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from odc_lightning.clustering import Backend
from odc_lightning.utils.blocks import blocks
from odc_lightning.utils.optional import import_faiss


def nearest_neighbours(
    bank: Tensor,
    queries: Tensor,
    k: int,
    *,
    exclude_self: bool = False,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    """Find the k samples of the bank with the largest cosine similarity to each query.

    One normalised copy of the bank is in memory, beside the result and the arguments, which may be
    memory maps; queries are processed in blocks. A feature that is not finite counts as the zero
    vector: its similarity to everything is 0.

    Of equally similar samples the lower index comes first. If only some of them are among the k,
    faiss takes those of lower index; for torch this is undefined.

    Args:
        bank: (N, D) features; need not be normalised.
        queries: (M, D) features, on the bank's device.
        k: number of neighbours.
        exclude_self: the queries must be the bank itself, in the same order, and no sample is its
            own neighbour; a twin, another sample with the same feature, may be one.
        backend: ``"auto"`` is faiss for features in RAM, if it imports, and torch otherwise;
            features on a GPU stay there.

    Returns:
        Similarities (M, k) float32, largest first, and indices (M, k) int64, on the bank's device.

    Raises:
        ValueError: shapes do not fit, k is larger than the number of neighbours, or faiss is asked
            for and missing.
    """
    check_search(bank, queries, k, exclude_self)
    chosen = _choose(backend, bank.device)
    device = torch.device("cpu") if chosen == "faiss" else bank.device
    directions = torch.empty(bank.shape, dtype=torch.float32, device=device)
    for rows in blocks(len(bank), bank.shape[1]):
        directions[rows] = _normalised(bank[rows])
    return _nearest(directions, queries, k, exclude_self, chosen)


def nearest_directions(directions: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`nearest_neighbours` in a bank (N, D) fp32 of unit rows, of which no copy is made."""
    check_search(directions, queries, k, exclude_self=False)
    return _nearest(directions, queries, k, False, _choose("auto", directions.device))


def check_search(bank: Tensor, queries: Tensor, k: int, exclude_self: bool) -> None:
    """Raise the ValueError of ``nearest_neighbours`` if shapes or k do not fit."""
    if bank.ndim != 2 or queries.ndim != 2 or bank.shape[1] != queries.shape[1]:
        raise ValueError(
            f"Got a bank of shape {tuple(bank.shape)} and queries of shape "
            f"{tuple(queries.shape)}, expected (N, D) and (M, D) of the same width D."
        )
    if len(bank) == 0 or len(queries) == 0:
        raise ValueError(f"Got {len(bank)} bank samples and {len(queries)} queries; both need one.")
    if exclude_self and queries.shape != bank.shape:
        raise ValueError(
            f"exclude_self needs the bank itself as queries, got {len(queries)} queries for a "
            f"bank of {len(bank)}."
        )
    neighbours = len(bank) - int(exclude_self)
    if not 1 <= k <= neighbours:
        raise ValueError(
            f"Got k={k} with {neighbours} possible neighbours; choose k from 1 to {neighbours}."
        )


def _choose(backend: Backend, device: torch.device) -> Literal["faiss", "torch"]:
    """The backend, with ``"auto"`` resolved; a ValueError if it is unknown or missing."""
    if backend not in ("auto", "faiss", "torch"):
        raise ValueError(f"kNN backend must be 'auto', 'faiss' or 'torch', got {backend!r}")
    if backend == "torch" or (backend == "auto" and device.type != "cpu"):
        return "torch"
    try:
        import_faiss()
    except ImportError as error:
        if backend == "auto":
            return "torch"
        raise ValueError(f"kNN backend 'faiss': {error}, or choose the backend 'torch'") from error
    return "faiss"


def _nearest(
    directions: Tensor,
    queries: Tensor,
    k: int,
    exclude_self: bool,
    backend: Literal["faiss", "torch"],
) -> tuple[Tensor, Tensor]:
    """Search block by block; the result is on the queries' device."""
    search, per_query = _torch_search, sum(directions.shape)
    if backend == "faiss":
        # faiss allocates a block of similarities itself, of a fixed size.
        search, per_query = _faiss_search, directions.shape[1] + k
    similarities = torch.empty(len(queries), k, device=queries.device)
    indices = torch.empty(len(queries), k, dtype=torch.int64, device=queries.device)
    # Large blocks, since each of them reads the whole bank.
    for rows in blocks(len(queries), per_query, times=2):
        asked = _normalised(queries[rows]).to(directions.device)
        found = _in_order(*search(directions, asked, k + int(exclude_self)))
        if exclude_self:
            found = _without_self(rows.start, *found)
        similarities[rows], indices[rows] = found
    return similarities, indices


def _normalised(features: Tensor) -> Tensor:
    """Directions (rows, D) in float32; zeros for vectors without one."""
    return F.normalize(features.detach().float(), dim=1).nan_to_num_(0.0)


def _faiss_search(bank: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    faiss = import_faiss()
    # Searches like an IndexFlatIP, without the copy of the bank that an index would make.
    similarities, indices = faiss.knn(
        queries.numpy(), bank.numpy(), k, metric=faiss.METRIC_INNER_PRODUCT
    )
    return torch.from_numpy(similarities), torch.from_numpy(indices)


def _torch_search(bank: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    similarities, indices = (queries @ bank.T).topk(k, dim=1)
    return similarities, indices


def _in_order(similarities: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Sort neighbours (rows, k) by descending similarity, then by ascending index."""
    by_index = indices.argsort(dim=1)
    falling = similarities.gather(1, by_index).argsort(dim=1, descending=True, stable=True)
    order = by_index.gather(1, falling)
    return similarities.gather(1, order), indices.gather(1, order)


def _without_self(first: int, similarities: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Drop from k + 1 neighbours the sample itself; row i is that of sample first + i."""
    num_rows, num_found = indices.shape
    own = torch.arange(first, first + num_rows, device=indices.device)
    dropped = indices == own.unsqueeze(1)
    # With more than k twins the sample itself may be missing; then the last one is dropped.
    dropped[:, -1] |= ~dropped.any(dim=1)
    kept = (~dropped).nonzero()[:, 1].view(num_rows, num_found - 1)
    return similarities.gather(1, kept), indices.gather(1, kept)
