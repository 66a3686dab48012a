"""The search against a sort in double precision, and what it does about ties and twins."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from odc_lightning.clustering import Backend
from odc_lightning.metrics import neighbours
from odc_lightning.metrics.neighbours import nearest_neighbours

BACKENDS: list[Backend] = ["faiss", "torch"]
both_backends = pytest.mark.parametrize("backend", BACKENDS)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cosines(bank: Tensor, queries: Tensor) -> Tensor:
    """All similarities (M, N), in double precision."""
    a, b = (x.double() / x.double().norm(dim=1, keepdim=True) for x in (queries, bank))
    return a @ b.T


def assert_nearest(found: tuple[Tensor, Tensor], expected: Tensor) -> None:
    """Whether what was found are the largest of all similarities, up to rounding."""
    similarities, indices = found
    largest = expected.topk(indices.shape[1], dim=1).values
    torch.testing.assert_close(similarities.double(), largest, rtol=0, atol=1e-6)
    torch.testing.assert_close(expected.gather(1, indices), largest, rtol=0, atol=1e-6)
    assert (indices.sort(dim=1).values.diff(dim=1) > 0).all()  # none twice
    assert (similarities.dtype, indices.dtype) == (torch.float32, torch.int64)


@both_backends
@pytest.mark.parametrize("k", [1, 20, 200, 500])
def test_they_are_the_first_of_all_sorted(backend: Backend, k: int) -> None:
    bank, queries = randn(500, 24), randn(70, 24, seed=1)
    assert_nearest(nearest_neighbours(bank, queries, k, backend=backend), cosines(bank, queries))


@both_backends
@pytest.mark.parametrize("k", [1, 20, 299])
def test_without_itself_the_first_of_the_others(backend: Backend, k: int) -> None:
    bank = randn(300, 24)
    found = nearest_neighbours(bank, bank, k, exclude_self=True, backend=backend)
    assert_nearest(found, cosines(bank, bank).fill_diagonal_(-2))


@both_backends
@pytest.mark.parametrize("k", [1, 2, 5, 7, 11])
def test_twins_are_neighbours_and_the_sample_itself_is_none(backend: Backend, k: int) -> None:
    originals = randn(2, 8)
    bank = originals[torch.arange(12) % 2]  # each six times
    similarities, indices = nearest_neighbours(bank, bank, k, exclude_self=True, backend=backend)
    own = torch.arange(12).unsqueeze(1)
    assert not (indices == own).any()
    assert all(len(set(row)) == k for row in indices.tolist())
    twins = min(k, 5)
    assert ((indices[:, :twins] - own) % 2 == 0).all()
    torch.testing.assert_close(similarities[:, :twins], torch.ones(12, twins))


@given(data=st.data(), num_samples=st.integers(2, 12))
def test_leaving_out_never_names_the_sample_itself(data: st.DataObject, num_samples: int) -> None:
    numbers = st.lists(st.sampled_from([0.0, 1.0, -1.0]), min_size=2, max_size=2)
    rows = data.draw(st.lists(numbers, min_size=num_samples, max_size=num_samples))
    k = data.draw(st.integers(1, num_samples - 1))
    bank = torch.tensor(rows)
    expected = cosines(bank, bank).nan_to_num(0).fill_diagonal_(-2)  # NaN: the zero vector's
    for backend in BACKENDS:
        found = nearest_neighbours(bank, bank, k, exclude_self=True, backend=backend)
        assert_nearest(found, expected)


@both_backends
def test_of_equally_similar_samples_the_lower_index_comes_first(backend: Backend) -> None:
    bank = torch.eye(4).repeat(5, 1)
    _, indices = nearest_neighbours(bank, torch.eye(4), 20, backend=backend)
    assert indices[0].tolist() == [0, 4, 8, 12, 16, *(i for i in range(20) if i % 4 != 0)]


@pytest.mark.parametrize("k", [2, 150])
def test_faiss_leaves_out_those_of_the_highest_index(k: int) -> None:
    bank = torch.ones(300, 4)
    _, indices = nearest_neighbours(bank, bank[:1], k, backend="faiss")
    assert indices.tolist() == [list(range(k))]


@both_backends
def test_a_feature_that_is_not_finite_is_similar_to_nothing(backend: Backend) -> None:
    bank = torch.tensor([[torch.nan, 1.0], [torch.inf, 1.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    queries = torch.tensor([[1.0, 0.0], [torch.nan, 0.0]])
    similarities, indices = nearest_neighbours(bank, queries, 5, backend=backend)
    assert similarities.tolist() == [[1, 0, 0, 0, -1], [0, 0, 0, 0, 0]]
    assert indices.tolist() == [[2, 0, 1, 3, 4], [0, 1, 2, 3, 4]]


@both_backends
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_numbers_are_taken_as_float32(backend: Backend, dtype: torch.dtype) -> None:
    bank, queries = randn(50, 6).to(dtype).requires_grad_(), randn(9, 6, seed=1).to(dtype)
    found = nearest_neighbours(bank, queries, 5, backend=backend)
    expected = nearest_neighbours(bank.float(), queries.float(), 5, backend=backend)
    assert torch.equal(found[1], expected[1])
    assert found[0].dtype == torch.float32
    assert not found[0].requires_grad


@both_backends
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_a_memory_map_that_cannot_be_written_in_blocks_of_any_size(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = randn(100, 6)
    np.save(tmp_path / "bank.npy", bank.numpy())
    mapped = torch.from_numpy(np.load(tmp_path / "bank.npy", mmap_mode="r"))
    expected = nearest_neighbours(bank, bank, 9, backend=backend)
    for elements in (0, 100, 1000):
        monkeypatch.setattr("odc_lightning.utils.blocks.BLOCK_ELEMENTS", elements)
        found = nearest_neighbours(mapped, mapped, 9, backend=backend)
        assert torch.equal(found[1], expected[1])
    assert torch.equal(mapped, bank)


def test_auto_is_torch_where_faiss_does_not_import(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = torch.eye(3)
    monkeypatch.setattr(neighbours, "_torch_search", None)
    nearest_neighbours(bank, bank, 1)  # faiss
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert nearest_neighbours(bank, bank, 1)[1].tolist() == [[0], [1], [2]]
    with pytest.raises(ValueError, match="install faiss-gpu or faiss-cpu"):
        nearest_neighbours(bank, bank, 1, backend="faiss")


def test_an_unknown_backend() -> None:
    with pytest.raises(ValueError, match="'auto', 'faiss' or 'torch', got 'sklearn'"):
        nearest_neighbours(torch.eye(3), torch.eye(3), 1, backend="sklearn")  # type: ignore[arg-type]
