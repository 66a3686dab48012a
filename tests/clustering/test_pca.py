"""PCA with whitening against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch.nn.functional import normalize

from odc_lightning.clustering import moments, pca, project_rows, whitening


def digits() -> torch.Tensor:
    """Real data of (1797, 64), three columns of which are constant."""
    return torch.from_numpy(load_digits().data).float() + 100.0


def fitted(rows: torch.Tensor, dim: int) -> torch.Tensor:
    return whitening(moments(rows, torch.arange(len(rows))), dim)(rows)


@pytest.mark.parametrize("dim", [1, 16, 40])
def test_it_is_scikit_learns_up_to_signs(dim: int) -> None:
    rows = digits()
    ours = fitted(rows, dim).numpy()
    reference = PCA(dim, whiten=True, svd_solver="full").fit_transform(rows.double().numpy())
    signs = np.sign((ours * reference).sum(axis=0))
    np.testing.assert_allclose(ours * signs, reference, atol=2e-3)


def test_what_comes_out_is_white() -> None:
    white = fitted(digits(), 32)
    torch.testing.assert_close(white.mean(dim=0), torch.zeros(32), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(white.T), torch.eye(32), atol=1e-3, rtol=0)


def test_directions_without_variance_are_left_out() -> None:
    assert fitted(digits(), 64).shape[1] == np.linalg.matrix_rank(digits().numpy() - 100.0)
    assert fitted(digits(), 1000).shape[1] == 61


def test_sums_of_parts_add_up() -> None:
    rows = digits()
    chosen = torch.randperm(1797)[:1000]
    parts = [moments(rows, part) for part in (chosen[:700], chosen[700:])]
    parts.append(moments(rows, chosen[:0]))  # a rank without samples
    whole = moments(rows, chosen)
    torch.testing.assert_close(whole.total, rows[chosen].double().sum(dim=0))
    for name in whole._fields:
        total = sum(getattr(part, name) for part in parts)
        torch.testing.assert_close(total, getattr(whole, name))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = digits()
    project = whitening(moments(rows, torch.arange(1797)), 20)
    monkeypatch.setattr(pca, "BLOCK_ROWS", 100)
    again = whitening(moments(rows, torch.arange(1797)), 20)
    torch.testing.assert_close(again.matrix.abs(), project.matrix.abs(), atol=1e-4, rtol=1e-4)
    out = torch.empty(1797, 20)
    project_rows(project, rows, out)
    torch.testing.assert_close(out, normalize(project(rows), dim=1))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (torch.ones(1, 4), "at least two samples, got 1"),
        (torch.full((9, 4), 7.3), "the features of all images are the same"),
        (torch.zeros(9, 4), "the features of all images are the same"),
        (torch.full((9, 4), torch.nan), r"finite features.*optimizer\.lr"),
    ],
)
def test_rows_that_cannot_be_whitened(rows: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(rows, 2)


def test_it_converges_where_divide_and_conquer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = digits()
    expected = fitted(rows, 10)

    def fails(matrix: torch.Tensor) -> None:
        raise torch.linalg.LinAlgError("linalg.eigh: The algorithm failed to converge")

    monkeypatch.setattr(torch.linalg, "eigh", fails)
    found = fitted(rows, 10)
    torch.testing.assert_close(found.abs(), expected.abs(), rtol=1e-3, atol=1e-4)
