"""PCA with whitening from sums over the features, DeepCluster's step before K-Means (Sec. 3.2)."""

from typing import NamedTuple

import torch
from scipy.linalg import eigh  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn.functional import normalize

# Rows per block that are read, summed and projected.
BLOCK_ROWS = 2**13

# Directions whose variance is below this share of the largest variance are rounding errors.
NEGLIGIBLE = 1e-7


class Moments(NamedTuple):
    """Sums over rows, in fp64. The sums of two parts add up to the sums of the whole.

    Attributes:
        rows: () the number of rows.
        total: (F,) the sum of the rows.
        products: (F, F) the sum of the rows' outer products.
    """

    rows: Tensor
    total: Tensor
    products: Tensor


class Whitening(NamedTuple):
    """A projection to uncorrelated coordinates of variance one.

    Attributes:
        mean: (F,) fp32, subtracted first.
        matrix: (F, D) fp32.
    """

    mean: Tensor
    matrix: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Project (M, F) to (M, D) fp32, on the device of the rows."""
        return (rows.float() - self.mean.to(rows.device)) @ self.matrix.to(rows.device)


def moments(features: Tensor, chosen: Tensor) -> Moments:
    """Sums over the chosen rows, which are read in blocks.

    Args:
        features: (N, F) on the CPU or on disk.
        chosen: (M,) int64, indices of rows; may be empty.
    """
    width = features.shape[1]
    total = torch.zeros(width, dtype=torch.float64)
    products = torch.zeros(width, width, dtype=torch.float64)
    for part in chosen.split(BLOCK_ROWS):
        rows = features[part].double()
        total += rows.sum(dim=0)
        products.addmm_(rows.T, rows)
    return Moments(torch.tensor(len(chosen), dtype=torch.float64), total, products)


def whitening(sums: Moments, dim: int) -> Whitening:
    """The whitening of the summed rows, as in scikit-learn's ``PCA(whiten=True)``.

    Args:
        sums: moments of at least two rows.
        dim: D, the largest number of directions to keep. Directions without variance are dropped,
            so there may be fewer.

    Raises:
        ValueError: if fewer than two rows were summed, a feature is not finite, or all rows are
            equal.
    """
    if sums.rows < 2:
        raise ValueError(f"PCA needs at least two samples, got {int(sums.rows)}; add images")
    if not torch.isfinite(sums.products).all():
        raise ValueError(
            "PCA needs finite features, but some are NaN or infinite: the network has diverged; "
            "lower the learning rate (optimizer.lr)"
        )
    mean = sums.total / sums.rows
    covariance = (sums.products - torch.outer(mean, sums.total)) / (sums.rows - 1)
    variances, directions = _eigh(covariance)  # in ascending order
    variances, directions = variances.flip(0)[:dim], directions.flip(1)[:, :dim]
    scale = sums.products.diagonal().mean() / sums.rows  # rounding errors are relative to this
    kept = variances > NEGLIGIBLE * torch.maximum(variances[0], NEGLIGIBLE * scale)
    if not bool(kept.any()):
        raise ValueError(
            "PCA found no variance: the features of all images are the same. Inspect the images, "
            "or lower the learning rate (optimizer.lr)."
        )
    matrix = directions[:, kept] * variances[kept].rsqrt()
    return Whitening(mean.float(), matrix.float())


def _eigh(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a symmetric matrix on the CPU.

    LAPACK's divide and conquer, which torch uses, can fail to converge where many eigenvalues are
    equal, as with more features than rows. Its QR iteration is slower and converges.
    """
    try:
        return torch.linalg.eigh(covariance)
    except torch.linalg.LinAlgError:
        values, vectors = eigh(covariance.numpy(), driver="ev")
        return torch.from_numpy(values), torch.from_numpy(vectors)


def project_rows(project: Whitening, features: Tensor, out: Tensor) -> None:
    """Whiten rows block by block, and normalise them to unit length.

    Args:
        project: a whitening to D directions.
        features: (N, F) on the CPU or on disk.
        out: (N, D) fp32, overwritten with the result; the computation runs on its device.
    """
    for rows, white in zip(features.split(BLOCK_ROWS), out.split(BLOCK_ROWS), strict=True):
        white.copy_(normalize(project(rows.to(out.device)), dim=1))
