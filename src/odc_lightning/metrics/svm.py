"""One linear SVM per class, as Goyal et al. (ICCV 2019) score features on VOC2007."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from joblib import delayed  # type: ignore[import-untyped]
from numpy.typing import ArrayLike, NDArray

from odc_lightning.metrics.average_precision import average_precisions, checked_objects
from odc_lightning.metrics.linear_svm import (
    COSTS,
    FittedSVM,
    check_splits,
    cross_validate,
    decision_values,
    fit_svm,
    process_pool,
    span_coordinates,
    unit_length,
)


@dataclass(frozen=True)
class LinearSvms:
    """One SVM per class, for features of unit length.

    Attributes:
        weights: (D, C).
        intercepts: (C,).
        costs: (C,) the cost chosen for each class.
        cross_validated: (C, P) the mean average precision of held-out folds for each cost.
        fits: number of SVMs that were fitted.
        unconverged: number of them that stopped at 2000 iterations without converging.
    """

    weights: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    costs: NDArray[np.float64]
    cross_validated: NDArray[np.float64]
    fits: int
    unconverged: int


def train_svms(
    features: NDArray,
    objects: ArrayLike,
    *,
    costs: Sequence[float] = COSTS,
    folds: int = 3,
    n_jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> LinearSvms:
    """Train one SVM per class, each with the cost that is best in cross-validation.

    The cost with the highest mean average precision over the folds is taken (the first such one),
    and the SVM is fitted again on all samples. Difficult images are negatives, as in the reference.

    Args:
        features: (N, D), of any length; a memory map is only read.
        objects: (N, C) as in VOC: 1 shown, -1 not shown, 0 difficult.
        costs: P values of liblinear's C to choose from.
        folds: of the cross-validation, stratified, in the samples' order.
        n_jobs: number of processes as in joblib; -1 is all cores. The result is the same but for
            rounding.
        on_progress: called with the number of finished tasks and of all tasks.

    Raises:
        ValueError: shapes or values do not fit, or a class has fewer positives or negatives than
            there are folds.
    """
    positives = checked_objects(objects) == 1
    if len(positives) != len(features):
        raise ValueError(
            f"Got {len(features)} features for {len(positives)} images; give one row of both each."
        )
    _check_folds(positives, folds)
    samples, restore = span_coordinates(unit_length(features))

    num_classes = positives.shape[1]
    pairs = [(column, cost) for column in range(num_classes) for cost in costs]
    total = len(pairs) + num_classes
    with process_pool(n_jobs) as parallel:
        validated, unconverged = np.empty(len(pairs)), 0
        tasks = (
            delayed(cross_validate)(samples, positives[:, column], [cost], folds)
            for column, cost in pairs
        )
        for done, (precision, failures) in enumerate(parallel(tasks)):
            validated[done] = precision[0]
            unconverged += failures
            on_progress(done + 1, total)

        cross_validated = validated.reshape(num_classes, len(costs))
        chosen = np.asarray(costs, float)[cross_validated.argmax(axis=1)]
        fits: list[FittedSVM] = []
        for fit in parallel(
            delayed(fit_svm)(samples, positives[:, column], cost)
            for column, cost in enumerate(chosen)
        ):
            fits.append(fit)
            on_progress(len(pairs) + len(fits), total)

    return LinearSvms(
        weights=restore(np.stack([fit.weights for fit in fits], axis=1)),
        intercepts=np.array([fit.intercept for fit in fits]),
        costs=chosen,
        cross_validated=cross_validated,
        fits=len(pairs) * folds + len(fits),
        unconverged=unconverged + sum(not fit.converged for fit in fits),
    )


@dataclass(frozen=True)
class SvmScores:
    """Results of the SVM protocol.

    Attributes:
        ap: (C,) average precision of each class on the test images, by the VOC definition.
        ap_sklearn: (C,) by scikit-learn's.
        decision_values: (M, C) of the test images.
        svms: the SVMs, with the costs that were chosen.
    """

    ap: NDArray[np.float64]
    ap_sklearn: NDArray[np.float64]
    decision_values: NDArray[np.float64]
    svms: LinearSvms


def svm_scores(
    train_features: NDArray,
    train_objects: ArrayLike,
    test_features: NDArray,
    test_objects: ArrayLike,
    *,
    costs: Sequence[float] = COSTS,
    folds: int = 3,
    n_jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> SvmScores:
    """Train SVMs on one split and score them on another: the paper's VOC2007 SVM protocol.

    Args:
        train_features: (N, D), of any length; a memory map is only read.
        train_objects: (N, C) as in VOC; difficult images are negatives.
        test_features: (M, D).
        test_objects: (M, C); difficult images are left out.

    The other arguments, and the errors, are those of ``train_svms`` and ``average_precisions``.
    """
    check_splits(
        train_features, checked_objects(train_objects), test_features, checked_objects(test_objects)
    )
    svms = train_svms(
        train_features,
        train_objects,
        costs=costs,
        folds=folds,
        n_jobs=n_jobs,
        on_progress=on_progress,
    )
    values = decision_values(test_features, svms.weights, svms.intercepts)
    ap, ap_sklearn = average_precisions(test_objects, values)
    return SvmScores(ap, ap_sklearn, values, svms)


def _check_folds(positives: NDArray[np.bool_], folds: int) -> None:
    if folds < 2:
        raise ValueError(f"Got {folds} folds, cross-validation needs at least 2.")
    for kind, members in (("positive", positives), ("negative", ~positives)):
        counts = members.sum(axis=0)
        if counts.min() < folds:
            column = int(counts.argmin())
            raise ValueError(
                f"Class {column} has {counts[column]} {kind} images, and each of {folds} folds "
                "needs one; leave the class out or take fewer folds."
            )
