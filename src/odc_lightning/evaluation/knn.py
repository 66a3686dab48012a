"""Weighted k-nearest-neighbour classification: a score of features that trains nothing."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Similarities held at once (128 MiB in float32), however many samples there are.
_BLOCK_ELEMENTS = 2**25


def knn_predict(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    *,
    k: int = 20,
    temperature: float = 0.07,
    exclude_self: bool = False,
) -> Tensor:
    """Classify queries by a weighted vote of their nearest neighbours in the bank.

    The classifier of Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination" (CVPR 2018, Sec. 3.4): each of the k samples most similar to the query votes
    for its class with weight exp(s / temperature), s being the cosine similarity.

    Args:
        bank: (N, D) features with known labels; need not be normalised.
        bank_labels: (N,) integer labels, 0 or larger.
        queries: (M, D) features to classify, on the bank's device.
        k: number of neighbours that vote.
        temperature: the lower, the more the nearest neighbours outweigh the others.
        exclude_self: leave one out; the queries must be the bank itself, in the same order, and
            no sample votes for itself.

    Returns:
        (M,) predicted labels, int64, on the queries' device.

    Raises:
        ValueError: shapes or labels do not fit, or k is larger than the number of neighbours.
    """
    _check(bank, bank_labels, queries, k, temperature, exclude_self)
    labels = bank_labels.to(bank.device, torch.int64)
    num_classes = int(labels.max()) + 1
    bank = F.normalize(bank.float(), dim=1)

    rows = max(1, _BLOCK_ELEMENTS // len(bank))
    predictions = []
    for start in range(0, len(queries), rows):
        block = F.normalize(queries[start : start + rows].float(), dim=1)
        similarities = block @ bank.T  # (rows, N)
        if exclude_self:
            similarities.diagonal(offset=start).fill_(-torch.inf)
        nearest, indices = similarities.topk(k, dim=1)
        # A factor common to all of a query's weights changes no vote, and softmax cannot overflow.
        weights = (nearest / temperature).softmax(dim=1)
        votes = weights.new_zeros(len(weights), num_classes)
        votes.scatter_add_(1, labels[indices], weights)
        predictions.append(votes.argmax(dim=1))
    return torch.cat(predictions)


def knn_accuracy(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    query_labels: Tensor,
    *,
    k: int = 20,
    temperature: float = 0.07,
    exclude_self: bool = False,
) -> float:
    """Return the share of queries, in [0, 1], that ``knn_predict`` classifies correctly.

    Args:
        query_labels: (M,) true labels of the queries.

    The other arguments, and the errors, are those of ``knn_predict``.
    """
    if query_labels.shape != queries.shape[:1]:
        raise ValueError(
            f"Got query labels of shape {tuple(query_labels.shape)} for queries of shape "
            f"{tuple(queries.shape)}; give one label a query."
        )
    predictions = knn_predict(
        bank,
        bank_labels,
        queries,
        k=k,
        temperature=temperature,
        exclude_self=exclude_self,
    )
    return (predictions == query_labels.to(predictions.device)).float().mean().item()


def _check(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    k: int,
    temperature: float,
    exclude_self: bool,
) -> None:
    if bank.ndim != 2 or queries.ndim != 2 or bank.shape[1] != queries.shape[1]:
        raise ValueError(
            f"Got a bank of shape {tuple(bank.shape)} and queries of shape "
            f"{tuple(queries.shape)}, expected (N, D) and (M, D) of the same width D."
        )
    if len(bank) == 0 or len(queries) == 0:
        raise ValueError(f"Got {len(bank)} bank samples and {len(queries)} queries; both need one.")
    if bank_labels.shape != bank.shape[:1]:
        raise ValueError(
            f"Got bank labels of shape {tuple(bank_labels.shape)} for a bank of shape "
            f"{tuple(bank.shape)}; give one label a sample."
        )
    if bank_labels.min() < 0:
        raise ValueError(
            f"Bank labels start at {int(bank_labels.min())}, expected 0 or larger; "
            "drop samples without a label."
        )
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
    if temperature <= 0:
        raise ValueError(f"Got temperature={temperature}, expected a positive number.")
