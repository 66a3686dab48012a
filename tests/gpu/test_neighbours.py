"""The search for neighbours finds the same on a GPU, and leaves the results there."""

import pytest
import torch

from odc_lightning.clustering import Backend
from odc_lightning.metrics.neighbours import nearest_neighbours


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["auto", "faiss", "torch"])
def test_features_on_a_gpu(backend: Backend) -> None:
    if backend == "faiss":
        pytest.importorskip("faiss")
    bank = torch.randn(300, 24, generator=torch.Generator().manual_seed(0))
    similarities, indices = nearest_neighbours(
        bank.cuda(), bank.cuda(), 20, exclude_self=True, backend=backend
    )
    expected = nearest_neighbours(bank, bank, 20, exclude_self=True)
    assert similarities.is_cuda
    assert indices.is_cuda
    assert torch.equal(indices.cpu(), expected[1])
    torch.testing.assert_close(similarities.cpu(), expected[0])
