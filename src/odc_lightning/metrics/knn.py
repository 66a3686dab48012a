"""Weighted k-nearest-neighbour classification: a score of features without training."""

from collections.abc import Sequence

import torch
from torch import Tensor

from odc_lightning.clustering import Backend
from odc_lightning.metrics.neighbours import check_search, nearest_neighbours
from odc_lightning.utils.blocks import blocks


def knn_predict(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    *,
    k: int = 20,
    temperature: float = 0.07,
    exclude_self: bool = False,
    backend: Backend = "auto",
) -> Tensor:
    """Classify queries by a weighted vote of their nearest neighbours in the bank.

    The classifier of Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination" (CVPR 2018, Sec. 3.4): each of the k samples most similar to the query votes
    for its class with weight exp(s / temperature), s being the cosine similarity. Of classes with
    equal votes the lowest wins; for equally similar samples see `nearest_neighbours`.

    Args:
        bank: (N, D) features with known labels; need not be normalised.
        bank_labels: (N,) integer labels, 0 or larger.
        queries: (M, D) features to classify, on the bank's device.
        k: number of neighbours that vote.
        temperature: the lower, the more the nearest neighbours outweigh the others.
        exclude_self: leave one out; the queries must be the bank itself, in the same order, and
            no sample votes for itself.
        backend: ``"auto"``, ``"faiss"`` or ``"torch"``, see `nearest_neighbours`.

    Returns:
        (M,) predicted labels, int64, on the queries' device.

    Raises:
        ValueError: shapes or labels do not fit, k is larger than the number of neighbours, or
            faiss is asked for and missing.
    """
    check_search(bank, queries, k, exclude_self)
    _check_vote(bank, bank_labels, temperature)
    similarities, indices = nearest_neighbours(
        bank, queries, k, exclude_self=exclude_self, backend=backend
    )
    return _vote(similarities, indices, bank_labels, temperature)


def knn_accuracies(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    query_labels: Tensor,
    *,
    ks: Sequence[int] = (10, 20, 100, 200),
    temperature: float = 0.07,
    exclude_self: bool = False,
    backend: Backend = "auto",
) -> dict[int, float]:
    """Return k -> `knn_accuracy` for several k, from one search for the largest.

    Args:
        query_labels: (M,) true labels of the queries.
        ks: numbers of neighbours that vote.

    The other arguments, and the errors, are those of `knn_predict`.
    """
    if query_labels.shape != queries.shape[:1]:
        raise ValueError(
            f"Got query labels of shape {tuple(query_labels.shape)} for queries of shape "
            f"{tuple(queries.shape)}; give one label a query."
        )
    if not ks:
        raise ValueError(f"Got ks={ks}, expected at least one number of neighbours.")
    for k in ks:
        check_search(bank, queries, k, exclude_self)
    _check_vote(bank, bank_labels, temperature)
    similarities, indices = nearest_neighbours(
        bank, queries, max(ks), exclude_self=exclude_self, backend=backend
    )
    truth = query_labels.to(indices.device)
    accuracies = {}
    for k in ks:
        predictions = _vote(similarities[:, :k], indices[:, :k], bank_labels, temperature)
        accuracies[k] = (predictions == truth).float().mean().item()
    return accuracies


def knn_accuracy(
    bank: Tensor,
    bank_labels: Tensor,
    queries: Tensor,
    query_labels: Tensor,
    *,
    k: int = 20,
    temperature: float = 0.07,
    exclude_self: bool = False,
    backend: Backend = "auto",
) -> float:
    """Return the share of queries, in [0, 1], that `knn_predict` classifies correctly.

    Args:
        query_labels: (M,) true labels of the queries.

    The other arguments, and the errors, are those of `knn_predict`.
    """
    accuracies = knn_accuracies(
        bank,
        bank_labels,
        queries,
        query_labels,
        ks=(k,),
        temperature=temperature,
        exclude_self=exclude_self,
        backend=backend,
    )
    return accuracies[k]


def _vote(similarities: Tensor, indices: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Classes (M,) of queries, by their neighbours' similarities and indices (M, k)."""
    labels = labels.to(indices.device, torch.int64)
    num_classes = int(labels.max()) + 1
    predictions = []
    for rows in blocks(len(indices), num_classes + indices.shape[1]):
        # A factor common to all of a query's weights changes no vote, and softmax cannot overflow.
        weights = (similarities[rows] / temperature).softmax(dim=1)
        votes = weights.new_zeros(len(weights), num_classes)
        votes.scatter_add_(1, labels[indices[rows]], weights)
        predictions.append(votes.argmax(dim=1))
    return torch.cat(predictions)


def _check_vote(bank: Tensor, bank_labels: Tensor, temperature: float) -> None:
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
    if temperature <= 0:
        raise ValueError(f"Got temperature={temperature}, expected a positive number.")
