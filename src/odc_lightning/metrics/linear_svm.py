"""Linear SVMs as Goyal et al. (ICCV 2019) fit them, and ways to fit many of them fast."""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from joblib import Parallel  # type: ignore[import-untyped]
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import solve_triangular  # type: ignore[import-untyped]
from scipy.linalg.lapack import dpstrf  # type: ignore[import-untyped]
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from odc_lightning.metrics.average_precision import step_average_precision
from odc_lightning.utils.blocks import blocks

Restore = Callable[[NDArray[np.float64]], NDArray[np.float64]]

# In the reference's order: where costs are equally good, the first one is taken.
COSTS: tuple[float, ...] = (1.0, 10.0, 100.0, *(0.5**power for power in range(4, 20)))

# Iterations after which liblinear stops, converged or not.
_MAX_ITERATIONS = 2000


def unit_length(features: NDArray, dtype: DTypeLike = np.float64) -> NDArray:
    """Return features divided by their L2 length plus 1e-5, as the reference does.

    Only the result is allocated, also for a memory map of another type.

    Args:
        features: (N, D) real numbers.
        dtype: of the result; liblinear computes in float64.

    Raises:
        ValueError: features are not (N, D), or a sample has features that are not finite.
    """
    if features.ndim != 2 or features.size == 0:
        raise ValueError(f"Got features of shape {features.shape}, expected (N, D), not empty.")
    lengths = np.sqrt(np.einsum("nd,nd->n", features, features, dtype=np.float64))
    if not np.isfinite(lengths).all():
        raise ValueError(
            f"{(~np.isfinite(lengths)).sum()} of {len(features)} samples have NaN or infinite "
            "features, expected finite ones; see whether the network has diverged."
        )
    divisors = (lengths + 1e-5).astype(dtype)[:, np.newaxis]
    return np.divide(features, divisors, out=np.empty(features.shape, dtype), dtype=dtype)


def span_coordinates(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], Restore]:
    """Rotate samples into the space that they span, if they are fewer than its dimensions.

    Pivoted Cholesky decomposition of the scalar products, X X^T = L L^T, gives coordinates L on an
    orthonormal basis of that space. Liblinear's dual solver depends on the scalar products alone,
    so its iterations are the same with L as with X, but for rounding. L is smaller, and half of it
    is zero, which liblinear skips.

    Args:
        features: X (N, D).

    Returns:
        L (N, R) with R the rank of X, and a function from weights (R, P) for L to weights (D, P)
        for X; or, if N >= D, the features as they are and a function that changes nothing.
    """
    num_samples, width = features.shape
    if num_samples >= width or not features.any():
        return features, lambda weights: weights
    lower, pivots, rank, _ = dpstrf((features @ features.T).T, lower=1, overwrite_a=1)
    order = pivots - 1  # LAPACK counts from 1
    coordinates = np.zeros((num_samples, rank))
    coordinates[order] = np.tril(lower)[:, :rank]

    def restore(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        # They are a sum of samples: of the first R pivots, since these span all others.
        shares = np.zeros((num_samples, weights.shape[1]))
        shares[order[:rank]] = solve_triangular(
            lower[:rank, :rank], weights, trans="T", lower=True, check_finite=False
        )
        return features.T @ shares

    return coordinates, restore


class FittedSVM(NamedTuple):
    """Weights (D,) and intercept of one SVM, and whether the solver converged."""

    weights: NDArray[np.float64]
    intercept: float
    converged: bool


def fit_svm(
    features: NDArray[np.float64],
    positive: NDArray[np.bool_],
    cost: float,
    used: NDArray[np.bool_] | None = None,
) -> FittedSVM:
    """Fit one SVM with the reference's solver; a positive counts as much as two negatives.

    Args:
        features: (N, D).
        positive: (N,).
        cost: liblinear's C.
        used: (N,) the samples to fit; all by default. liblinear drops samples of weight 0 first, so
            this is the fit of ``features[used]`` without a copy.
    """
    svm = LinearSVC(
        C=cost,
        class_weight={1: 2, -1: 1},
        penalty="l2",
        loss="squared_hinge",
        dual=True,
        tol=1e-4,
        max_iter=_MAX_ITERATIONS,
        intercept_scaling=1.0,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # counted instead
        svm.fit(features, np.where(positive, 1, -1), None if used is None else used.astype(float))
    return FittedSVM(
        svm.coef_[0], float(svm.intercept_[0]), bool(np.max(svm.n_iter_) < _MAX_ITERATIONS)
    )


def cross_validate(
    features: NDArray[np.float64], positive: NDArray[np.bool_], costs: Sequence[float], folds: int
) -> tuple[NDArray[np.float64], int]:
    """Return the mean average precision (P,) of held-out folds, one for each of P costs.

    As ``cross_val_score`` with ``cv=folds``: stratified folds in the samples' order, average
    precision as scikit-learn defines it.

    Returns:
        The means, and the number of the P * folds fits that did not converge.
    """
    precisions = np.empty((folds, len(costs)))
    unconverged = 0
    splits = StratifiedKFold(folds).split(np.zeros(len(positive)), positive)
    for row, (_, held_out) in zip(precisions, splits, strict=True):
        used = np.ones(len(positive), bool)
        used[held_out] = False
        for column, cost in enumerate(costs):
            fit = fit_svm(features, positive, cost, used)
            decisions = (features @ fit.weights + fit.intercept)[held_out]
            row[column] = step_average_precision(positive[held_out], decisions)
            unconverged += not fit.converged
    return precisions.mean(axis=0), unconverged


def process_pool(n_jobs: int) -> Parallel:
    """Return a joblib pool of processes whose results come as a generator, in order.

    Threads would not do: liblinear has one random generator for all of them, so no result could
    be reproduced. Arrays of 1 MB or more are not copied to each process; joblib writes them to a
    memory map once.
    """
    return Parallel(n_jobs=n_jobs, backend="loky", return_as="generator")


def decision_values(features: NDArray, weights: NDArray, intercepts: NDArray) -> NDArray:
    """Return the decision values (M, C) of features (M, D), normalised to unit length.

    They are computed in the type of ``weights`` (D, C), one block of samples at a time, so a
    memory map may be larger than RAM.
    """
    values = np.empty((len(features), weights.shape[1]), weights.dtype)
    for rows in blocks(len(features), len(weights)):
        np.matmul(unit_length(features[rows], weights.dtype), weights, out=values[rows])
    values += intercepts
    return values


def check_splits(
    train_features: NDArray,
    train_objects: NDArray[np.int8],
    test_features: NDArray,
    test_objects: NDArray[np.int8],
) -> None:
    """Check the splits, before hours of training.

    Raises:
        ValueError: features (N, D), (M, D) and objects (N, C), (M, C) do not fit, or a class is
            not in the test split.
    """
    shapes = [array.shape for array in (train_features, train_objects, test_features, test_objects)]
    train, train_shown, test, test_shown = shapes
    if (
        {len(shape) for shape in shapes} != {2}
        or (train[0], test[0]) != (train_shown[0], test_shown[0])
        or (train[1], train_shown[1]) != (test[1], test_shown[1])
    ):
        raise ValueError(
            "Got training features and objects of shapes {} and {}, test features and objects of "
            "shapes {} and {}; expected (N, D), (N, C), (M, D) and (M, C).".format(*shapes)
        )
    shown = (test_objects == 1).any(axis=0)
    if not shown.all():
        raise ValueError(
            f"Class {shown.argmin()} is shown in none of {len(test_objects)} test images, so it "
            "has no average precision; leave the class out."
        )
