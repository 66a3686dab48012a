"""Low-shot SVMs: scores of features when each class has only a few images (Goyal et al., 2019).

Each class has an SVM. It is trained on k images that show the class and (C - 1) k that do not, and
scored on the whole test split. There are several k, and several independent draws of each.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed  # type: ignore[import-untyped]
from numpy.typing import ArrayLike, NDArray

from odc_lightning.metrics.average_precision import average_precisions, checked_objects
from odc_lightning.metrics.linear_svm import (
    check_splits,
    cross_validate,
    decision_values,
    fit_svm,
    process_pool,
    span_coordinates,
    unit_length,
)
from odc_lightning.metrics.low_shot_draws import draw_multi_label, draw_single_label
from odc_lightning.metrics.low_shot_settings import Cell, LowShotSettings, num_folds

# With one positive, nothing can be held out to choose the cost by. Of all COSTS this one had the
# highest mean average precision over ten draws of raw pixels: 0.679 on scikit-learn's digits and
# 0.494 on Fashion-MNIST, before the next lower (0.615, 0.393) and the next higher (0.677, 0.489).
ONE_SHOT_COST = 1.0


@dataclass(frozen=True)
class LowShotScores:
    """Results of the low-shot protocol, for S draws of each of K shots.

    Attributes:
        shots: (K,) positives of a class.
        map: (S, K) mean average precision over the classes, by the VOC definition.
        map_sklearn: (S, K) by scikit-learn's.
        top1: (S, K) share of test images whose own class has the highest decision value; None if
            images have several labels.
        costs: (S, K) the cost of all classes' SVMs.
        fits: number of SVMs that were fitted.
        unconverged: number of them that stopped at 2000 iterations without converging.
    """

    shots: tuple[int, ...]
    map: NDArray[np.float64]
    map_sklearn: NDArray[np.float64]
    top1: NDArray[np.float64] | None
    costs: NDArray[np.float64]
    fits: int
    unconverged: int


def low_shot_scores(
    train_features: NDArray,
    train_objects: ArrayLike,
    test_features: NDArray,
    test_objects: ArrayLike,
    settings: LowShotSettings,
    *,
    n_jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> LowShotScores:
    """Train SVMs on few images of each class and score them on the whole test split.

    Args:
        train_features: (N, D), of any length; a memory map is only read.
        train_objects: (N, C) as in VOC, or as ``one_versus_rest`` returns them.
        test_features: (M, D).
        test_objects: (M, C); difficult images are left out.
        settings: of the protocol.
        n_jobs: number of processes as in joblib; -1 is all cores. The result is the same but for
            rounding.
        on_progress: called with the number of finished tasks and of all tasks.

    Raises:
        ValueError: shapes or values do not fit, or a class has too few images for a shot.
    """
    train, test = checked_objects(train_objects), checked_objects(test_objects)
    check_splits(train_features, train, test_features, test)
    settings.check(train, test)
    with process_pool(n_jobs) as parallel:
        tasks = _ClassTasks(parallel, train_features, train, settings, on_progress)
        chosen, unvalidated = _validate(tasks, settings)
        scores, unfitted = _fit_and_test(tasks, settings, chosen, test_features, test)
    if settings.on_test_set:
        best = scores[0].mean(axis=0).argmax(axis=1)  # (K,)
        chosen[:] = np.asarray(settings.costs)[best]
        scores = np.take_along_axis(scores, best[np.newaxis, np.newaxis, :, np.newaxis], axis=3)
    return LowShotScores(
        shots=tuple(settings.shots),
        map=scores[0, ..., 0],
        map_sklearn=scores[1, ..., 0],
        top1=scores[2, ..., 0] if settings.single_label else None,
        costs=chosen,
        fits=train.shape[1] * settings.fits_per_class,
        unconverged=unvalidated + unfitted,
    )


class _ClassTasks:
    """Runs a task for each class of each cell in a pool of processes, and counts what is done."""

    def __init__(
        self,
        parallel: Parallel,
        features: NDArray,
        objects: NDArray[np.int8],
        settings: LowShotSettings,
        on_progress: Callable[[int, int], None],
    ) -> None:
        self.parallel = parallel
        self.features = features
        self.objects = objects
        self.settings = settings
        self.on_progress = on_progress
        self.num_classes = objects.shape[1]
        self.total = (len(settings.cells) + len(settings.validated)) * self.num_classes
        self.done = 0

    def run(
        self, task: Callable[..., Any], cells: Sequence[Cell], costs: Callable[[Cell], Any]
    ) -> Iterator[tuple[Cell, list[Any]]]:
        """The C results of a task for each cell, whose costs a function gives."""
        shots, seed = self.settings.shots, self.settings.seed
        draw = draw_single_label if self.settings.single_label else draw_multi_label
        results = self.parallel(
            delayed(task)(self.features, rows, shots[cell[1]], costs(cell))
            for cell in cells
            for rows in draw(self.objects, shots[cell[1]], draw=cell[0], seed=seed)
        )
        remaining = iter(cells)
        found: list[Any] = []
        for result in results:
            found.append(result)
            self.done += 1
            self.on_progress(self.done, self.total)
            if len(found) == self.num_classes:
                yield next(remaining), found
                found = []


def _validate(tasks: _ClassTasks, settings: LowShotSettings) -> tuple[NDArray[np.float64], int]:
    """The cost (S, K) of each cell, and how many fits of cross-validation did not converge."""
    chosen = np.full((settings.draws, len(settings.shots)), ONE_SHOT_COST)
    unconverged = 0
    for cell, found in tasks.run(_validate_class, settings.validated, lambda cell: settings.costs):
        precisions, failures = zip(*found, strict=True)
        chosen[cell] = settings.costs[int(np.mean(precisions, axis=0).argmax())]
        unconverged += sum(failures)
    return chosen, unconverged


def _fit_and_test(
    tasks: _ClassTasks,
    settings: LowShotSettings,
    chosen: NDArray[np.float64],
    features: NDArray,
    objects: NDArray[np.int8],
) -> tuple[NDArray[np.float64], int]:
    """Scores (3, S, K, P) on the test images, and how many fits did not converge.

    P is 1 where the cost is chosen already.
    """
    costs = settings.costs if settings.on_test_set else None
    shape = (settings.draws, len(settings.shots), 1 if costs is None else len(costs))
    scores = np.empty((3, *shape))
    unconverged = 0
    for cell, found in tasks.run(
        _fit_class, settings.cells, lambda cell: [chosen[cell]] if costs is None else costs
    ):
        weights, intercepts, failures = zip(*found, strict=True)
        scores[:, *cell] = _test(weights, intercepts, features, objects)
        unconverged += sum(failures)
    return scores, unconverged


def _validate_class(
    features: NDArray, rows: NDArray[np.int64], shot: int, costs: Sequence[float]
) -> tuple[NDArray[np.float64], int]:
    samples, _ = span_coordinates(unit_length(features[rows]))
    return cross_validate(samples, np.arange(len(rows)) < shot, costs, num_folds(shot))


def _fit_class(
    features: NDArray, rows: NDArray[np.int64], shot: int, costs: Sequence[float]
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """Weights (D, P) and intercepts (P,) of one class, and the number of unconverged fits."""
    samples, restore = span_coordinates(unit_length(features[rows]))
    fits = [fit_svm(samples, np.arange(len(rows)) < shot, cost) for cost in costs]
    return (
        restore(np.stack([fit.weights for fit in fits], axis=1)).astype(np.float32),
        np.array([fit.intercept for fit in fits], np.float32),
        sum(not fit.converged for fit in fits),
    )


def _test(
    weights: Sequence[NDArray[np.float32]],
    intercepts: Sequence[NDArray[np.float32]],
    features: NDArray,
    objects: NDArray[np.int8],
) -> NDArray[np.float64]:
    """Both mean average precisions and the top-1 accuracy of C classes' SVMs, (3, P)."""
    flat = np.stack(weights, axis=1).reshape(len(weights[0]), -1)  # (D, C P)
    values = decision_values(features, flat, np.concatenate(intercepts))
    scores = []
    for of_cost in np.moveaxis(values.reshape(*objects.shape, -1), 2, 0):
        ap, ap_sklearn = average_precisions(objects, of_cost)
        hits = of_cost.argmax(axis=1) == objects.argmax(axis=1)
        scores.append((ap.mean(), ap_sklearn.mean(), hits.mean()))
    return np.array(scores).T
