"""The weighted kNN classifier against an obvious loop and against scikit-learn."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from odc_lightning.clustering import Backend
from odc_lightning.metrics import knn_accuracy, knn_predict, neighbours
from odc_lightning.metrics.knn import knn_accuracies

K, TEMPERATURE, CLASSES = 7, 0.1, 4
BACKENDS: list[Backend] = ["faiss", "torch"]


@pytest.fixture
def samples() -> tuple[Tensor, Tensor, Tensor]:
    """Bank (60, 5), its labels (60,), queries (23, 5); overlapping classes, so that k matters."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, 5, generator=generator)
    labels = torch.randint(CLASSES, (60,), generator=generator)
    bank = centres[labels] + torch.randn(60, 5, generator=generator)
    queries = centres[torch.arange(23) % CLASSES] + torch.randn(23, 5, generator=generator)
    return bank, labels, queries


def knn_by_loop(bank: Tensor, labels: Tensor, queries: Tensor, leave_out: bool) -> list[int]:
    predictions = []
    for position, query in enumerate(queries.double().numpy()):
        neighbours = []
        for index, sample in enumerate(bank.double().numpy()):
            if leave_out and index == position:
                continue
            cosine = query @ sample / np.linalg.norm(query) / np.linalg.norm(sample)
            neighbours.append((cosine, int(labels[index])))
        votes = np.zeros(CLASSES)
        for cosine, label in sorted(neighbours, reverse=True)[:K]:
            votes[label] += np.exp(cosine / TEMPERATURE)
        predictions.append(int(votes.argmax()))
    return predictions


@pytest.mark.parametrize("backend", BACKENDS)
def test_predictions_are_those_of_the_loop(
    samples: tuple[Tensor, Tensor, Tensor], backend: Backend
) -> None:
    bank, labels, queries = samples
    predictions = knn_predict(bank, labels, queries, k=K, temperature=TEMPERATURE, backend=backend)
    assert predictions.dtype == torch.int64
    assert predictions.tolist() == knn_by_loop(bank, labels, queries, leave_out=False)


@pytest.mark.parametrize("backend", BACKENDS)
def test_leave_one_out_is_that_of_the_loop_in_blocks_of_any_size(
    samples: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> None:
    bank, labels, _ = samples
    expected = knn_by_loop(bank, labels, bank, leave_out=True)
    for elements in (0, 60, 420, 3600):  # 0: the bank alone is larger than a block
        monkeypatch.setattr("odc_lightning.utils.blocks.BLOCK_ELEMENTS", elements)
        predictions = knn_predict(
            bank, labels, bank, k=K, temperature=TEMPERATURE, exclude_self=True, backend=backend
        )
        assert predictions.tolist() == expected


def test_predictions_are_those_of_scikit_learn(samples: tuple[Tensor, Tensor, Tensor]) -> None:
    bank, labels, queries = samples

    def weights(cosine_distances: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp((1 - cosine_distances) / TEMPERATURE)

    classifier = KNeighborsClassifier(n_neighbors=K, metric="cosine", weights=weights)
    expected = classifier.fit(bank.numpy(), labels.numpy()).predict(queries.numpy())
    predictions = knn_predict(bank, labels, queries, k=K, temperature=TEMPERATURE)
    assert predictions.tolist() == expected.tolist()


def test_the_length_of_features_does_not_matter(samples: tuple[Tensor, Tensor, Tensor]) -> None:
    bank, labels, queries = samples
    scaled = bank * torch.linspace(0.1, 10, len(bank))[:, None]
    expected = knn_predict(bank, labels, queries, k=K)
    assert torch.equal(knn_predict(scaled, labels, 3 * queries, k=K), expected)


def test_a_low_temperature_neither_overflows_nor_loses_the_nearest() -> None:
    bank = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    labels = torch.tensor([0, 1, 1])
    query = torch.tensor([[1.0, 0.1]])
    assert knn_predict(bank, labels, query, k=3, temperature=1e-4).tolist() == [0]
    assert knn_predict(bank, labels, query, k=3, temperature=100.0).tolist() == [1]


def test_accuracy_is_the_share_of_correct_predictions() -> None:
    bank = torch.eye(3)
    labels = torch.arange(3)
    queries = torch.eye(3)[[0, 1, 2, 2]]
    truth = torch.tensor([0, 1, 2, 0])
    assert knn_accuracy(bank, labels, queries, truth, k=1) == 0.75
    assert knn_accuracy(bank, labels, bank, labels, k=1) == 1.0
    assert knn_accuracy(bank, labels, bank, labels, k=1, exclude_self=True) == 0.0


@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_one_search_scores_every_k(
    samples: tuple[Tensor, Tensor, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    backend: Backend,
    exclude_self: bool,
) -> None:
    bank, labels, queries = samples
    truth = torch.arange(23) % CLASSES
    if exclude_self:
        queries, truth = bank, labels
    settings: dict[str, Any] = {
        "temperature": 10.0,
        "exclude_self": exclude_self,
        "backend": backend,
    }
    expected = {k: knn_accuracy(bank, labels, queries, truth, k=k, **settings) for k in (40, 1, 7)}
    assert len(set(expected.values())) > 1  # sanity check: k matters
    searches = []

    def counted(*arguments: Any) -> Any:
        searches.append(arguments)
        return search(*arguments)

    search = getattr(neighbours, f"_{backend}_search")
    monkeypatch.setattr(neighbours, f"_{backend}_search", counted)
    found = knn_accuracies(bank, labels, queries, truth, ks=(40, 1, 7), **settings)
    assert found == expected
    assert len(searches) == 1


def test_classes_with_equal_votes() -> None:
    bank, labels = torch.ones(4, 2), torch.tensor([3, 1, 3, 1])
    assert knn_predict(bank, labels, torch.ones(1, 2), k=4).tolist() == [1]


def test_any_of_several_k_may_be_too_large() -> None:
    arguments = torch.eye(3), torch.arange(3), torch.eye(3), torch.arange(3)
    with pytest.raises(ValueError, match="k=3 with 2 possible neighbours; choose k from 1 to 2"):
        knn_accuracies(*arguments, ks=(1, 3), exclude_self=True)
    with pytest.raises(ValueError, match="k=0"):
        knn_accuracies(*arguments, ks=(0, 3))
    with pytest.raises(ValueError, match="at least one"):
        knn_accuracies(*arguments, ks=())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 5}, "k=5 with 4 possible neighbours; choose k from 1 to 4"),
        ({"k": 4, "exclude_self": True}, "k=4 with 3 possible neighbours"),
        ({"k": 0}, "k=0"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"queries": torch.ones(4, 3)}, "same width"),
        ({"queries": torch.ones(0, 2)}, "0 queries"),
        ({"queries": torch.ones(3, 2), "exclude_self": True}, "3 queries for a bank of 4"),
        ({"bank_labels": torch.zeros(3, dtype=torch.long)}, "one label a sample"),
        ({"bank_labels": torch.tensor([0, 1, 2, -1])}, "labels start at -1"),
    ],
)
def test_bad_input_is_an_error(changes: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "bank": torch.ones(4, 2),
        "bank_labels": torch.tensor([0, 1, 2, 0]),
        "queries": torch.ones(4, 2),
        "k": 2,
    }
    with pytest.raises(ValueError, match=message):
        knn_predict(**(arguments | changes))  # type: ignore[arg-type]


def test_accuracy_needs_a_label_for_each_query() -> None:
    with pytest.raises(ValueError, match="one label a query"):
        knn_accuracy(torch.eye(3), torch.arange(3), torch.eye(3), torch.arange(2), k=1)
