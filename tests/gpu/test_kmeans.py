"""K-Means on a GPU finds clusters as good as those on the CPU, wherever the features lie."""

import pytest
import torch
from torch.nn.functional import normalize

from odc_lightning.clustering import kmeans, nonempty_kmeans

pytestmark = pytest.mark.gpu

N, C, D = 3000, 30, 32


def features() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(C, D, generator=generator)
    noise = torch.randn(N, D, generator=generator)
    return normalize(directions[torch.arange(N) % C] + noise, dim=1)


@pytest.mark.parametrize("place", ["cuda", "cpu"])
def test_the_inertia_is_that_of_the_cpu(place: str) -> None:
    rows = features()
    expected = kmeans(rows, C, backend="torch")
    found = kmeans(rows.to(place), C, backend="torch", device="cuda")
    assert found.inertia == pytest.approx(expected.inertia, rel=0.01)
    assert found.labels.is_cuda
    assert found.centroids.is_cuda
    own = found.centroids[found.labels].cpu()
    assert float((rows - own).square().sum()) == pytest.approx(found.inertia, rel=1e-4)


def test_half_precision_costs_little() -> None:
    rows = features()
    found = kmeans(rows.half().cuda(), C, backend="torch")
    assert found.inertia == pytest.approx(kmeans(rows, C, backend="torch").inertia, rel=0.01)


def test_no_cluster_of_the_bootstrap_is_empty() -> None:
    rows = features().cuda()
    labels = nonempty_kmeans(rows, C, 5, 0, "auto", lambda: None, torch.device("cuda"))
    assert labels.device.type == "cpu"
    assert int(torch.bincount(labels, minlength=C).min()) > 0
