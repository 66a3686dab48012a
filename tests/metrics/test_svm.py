"""The SVM protocol against scikit-learn's grid search, and the solver against its shortcuts."""

import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import LinearSVC

from odc_lightning.metrics import linear_svm, svm
from odc_lightning.metrics.average_precision import voc_average_precision
from odc_lightning.metrics.linear_svm import (
    COSTS,
    cross_validate,
    decision_values,
    fit_svm,
    span_coordinates,
    unit_length,
)
from odc_lightning.metrics.svm import svm_scores, train_svms

Split = tuple[NDArray[np.float32], NDArray[np.int8]]


def make_split(num_samples: int, width: int, seed: int) -> Split:
    """Features (N, D) and objects (N, 3), so noisy that the cost matters; some are difficult."""
    generator = np.random.default_rng(seed)
    truth = generator.standard_normal((num_samples, 3))
    directions = np.random.default_rng(0).standard_normal((3, width))
    noise = generator.standard_normal((num_samples, width))
    objects = np.select([truth > 0.7, truth > 0.5], [1, 0], -1).astype(np.int8)
    return (truth @ directions + 2 * noise).astype(np.float32), objects


def reference_svc(cost: float = 1.0) -> LinearSVC:
    return LinearSVC(
        C=cost,
        class_weight={1: 2, -1: 1},
        intercept_scaling=1.0,
        penalty="l2",
        loss="squared_hinge",
        tol=0.0001,
        dual=True,
        max_iter=2000,
        random_state=0,
    )


def normalised(features: NDArray) -> NDArray[np.float64]:
    wide = features.astype(np.float64)
    return wide / (np.linalg.norm(wide, axis=1) + 1e-5)[:, np.newaxis]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_unit_length(dtype: type) -> None:
    features: NDArray = np.random.default_rng(0).integers(9, size=(7, 5)).astype(dtype)
    features[3] = 0
    result = unit_length(features)
    assert result.dtype == np.float64
    assert result == pytest.approx(normalised(features), rel=1e-15)
    assert unit_length(features, np.float32).dtype == np.float32
    assert unit_length(features, np.float32) == pytest.approx(normalised(features), rel=1e-6)


# More samples than dimensions, and fewer.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("width", [6, 150])
def test_costs_and_decision_values_are_those_of_a_grid_search(width: int) -> None:
    features, objects = make_split(90, width, seed=1)
    test_features, test_objects = make_split(60, width, seed=2)
    found = svm_scores(features, objects, test_features, test_objects)
    assert found.decision_values.shape == (60, 3)
    assert found.svms.weights.shape == (width, 3)
    for column in range(3):
        # what is difficult is a negative in training, and left out of the test
        labels = np.where(objects[:, column] == 1, 1, -1)
        search = GridSearchCV(reference_svc(), {"C": COSTS}, cv=3, scoring="average_precision")
        search.fit(normalised(features), labels)
        assert found.svms.costs[column] == search.best_params_["C"]
        expected = search.cv_results_["mean_test_score"]
        assert found.svms.cross_validated[column] == pytest.approx(expected)

        values = search.decision_function(normalised(test_features))
        assert found.decision_values[:, column] == pytest.approx(values, abs=1e-9)
        sure = test_objects[:, column] != 0
        assert not sure.all()
        shown = test_objects[sure, column] == 1
        assert found.ap[column] == pytest.approx(voc_average_precision(shown, values[sure]))
        expected = average_precision_score(shown, values[sure])
        assert found.ap_sklearn[column] == pytest.approx(expected)
    assert len(set(found.svms.costs)) > 1  # else the choice is not much of a test


def test_cross_validation_is_that_of_scikit_learn() -> None:
    features, objects = make_split(50, 8, seed=3)
    positive = objects[:, 0] == 1
    result, unconverged = cross_validate(unit_length(features), positive, [10.0, 0.01], folds=5)
    for value, cost in zip(result, [10.0, 0.01], strict=True):
        scores = cross_val_score(
            reference_svc(cost),
            normalised(features),
            np.where(positive, 1, -1),
            cv=5,
            scoring="average_precision",
        )
        assert value == pytest.approx(scores.mean())
    assert unconverged == 0


def test_samples_that_are_not_used_do_not_count() -> None:
    features, objects = make_split(80, 10, seed=4)
    samples, positive = unit_length(features), objects[:, 1] == 1
    used = np.random.default_rng(0).random(80) < 0.6
    for cost in (0.01, 100.0):
        expected = fit_svm(samples[used], positive[used], cost)
        result = fit_svm(samples, positive, cost, used)
        assert np.array_equal(result.weights, expected.weights)
        assert result.intercept == expected.intercept


def span_cases() -> dict[str, NDArray]:
    generator = np.random.default_rng(0)
    features = np.maximum(generator.standard_normal((40, 100)), 0)
    return {
        "full rank": features,
        "every sample twice": np.repeat(features, 2, axis=0),
        "samples of zeros": np.vstack([features, np.zeros((3, 100))]),
        "three dimensions": features[:, :3] @ generator.standard_normal((3, 100)),
        "nearly equal": 100 + features / 100,
        "zeros only": np.zeros((40, 100)),
        "more samples than dimensions": features[:, :20],
    }


@pytest.mark.parametrize("case", span_cases())
def test_the_solution_in_the_span_is_the_solution(case: str) -> None:
    features = unit_length(span_cases()[case])
    positive = np.random.default_rng(1).random(len(features)) < 0.3
    coordinates, restore = span_coordinates(features.copy())
    assert coordinates.flags.c_contiguous  # else scikit-learn copies it for each fit
    assert coordinates @ coordinates.T == pytest.approx(features @ features.T, abs=1e-12)
    for cost in (0.5**19, 0.01, 1.0, 100.0):
        expected, result = fit_svm(features, positive, cost), fit_svm(coordinates, positive, cost)
        weights = restore(result.weights[:, np.newaxis])[:, 0]
        scale = np.abs(expected.weights).max()
        assert weights == pytest.approx(expected.weights, abs=1e-9 * scale)
        assert result.intercept == pytest.approx(expected.intercept, abs=1e-9)
        assert result.converged == expected.converged


def test_the_span_has_as_many_dimensions_as_needed() -> None:
    widths = {
        case: span_coordinates(unit_length(features))[0].shape[1]
        for case, features in span_cases().items()
    }
    assert widths["full rank"] == widths["every sample twice"] == widths["samples of zeros"] == 40
    assert widths["three dimensions"] == 3
    assert widths["more samples than dimensions"] == 20


def test_decision_values_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    features, _ = make_split(23, 6, seed=5)
    weights, intercepts = np.random.default_rng(0).random((6, 4)), np.arange(4.0)
    expected = normalised(features) @ weights + intercepts
    for rows in (0, 1, 7, 23):  # 0: one sample is larger than a block
        monkeypatch.setattr("odc_lightning.utils.blocks.BLOCK_ELEMENTS", rows * 6)
        assert decision_values(features, weights, intercepts) == pytest.approx(expected, abs=1e-14)
        single = decision_values(features, weights.astype(np.float32), intercepts)
        assert single.dtype == np.float32
        assert single == pytest.approx(expected, abs=1e-5)


def test_a_memory_map_is_read_and_copied_once(tmp_path: Path) -> None:
    features, objects = make_split(2000, 300, seed=6)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    copy = 8 * features.size
    tracemalloc.start()
    result = train_svms(mapped, objects[:, :1], costs=[0.01])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert copy < peak < 1.25 * copy
    expected = train_svms(features, objects[:, :1], costs=[0.01])
    assert np.array_equal(result.weights, expected.weights)


def test_processes_find_the_same() -> None:
    features, objects = make_split(400, 500, seed=7)  # coordinates of more than 1 MB: mapped
    calls: list[tuple[int, int]] = []
    results = [
        train_svms(
            features,
            objects[:, :2],
            costs=[1.0, 0.01],
            n_jobs=n_jobs,
            on_progress=lambda done, total: calls.append((done, total)),
        )
        for n_jobs in (1, 2)
    ]
    assert np.array_equal(results[0].costs, results[1].costs)
    assert results[0].weights == pytest.approx(results[1].weights, abs=1e-9)
    # four pairs of class and cost, then each class once more
    assert calls == 2 * [(done, 6) for done in range(1, 7)]
    assert results[0].fits == results[1].fits == 2 * 2 * 3 + 2


def test_fits_that_do_not_converge_are_counted_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    features, objects = make_split(60, 5, seed=8)
    monkeypatch.setattr(linear_svm, "_MAX_ITERATIONS", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = train_svms(features, objects, costs=[100.0, 10.0])
    assert result.unconverged == result.fits == 3 * 2 * 3 + 3


def test_the_first_of_equally_good_costs_is_taken() -> None:
    features = np.repeat(np.eye(2), 9, axis=0)  # any cost tells these apart
    objects = np.where(features == 1, 1, -1)
    result = train_svms(features, objects, costs=[0.25, 1.0, 0.01])
    assert result.cross_validated == pytest.approx(np.ones((2, 3)))
    assert result.costs.tolist() == [0.25, 0.25]


def test_a_class_with_too_few_images_is_named() -> None:
    features, objects = make_split(60, 5, seed=9)
    objects[:, 1] = -1
    objects[:2, 1] = 1
    with pytest.raises(ValueError, match="Class 1 has 2 positive images, and each of 3 folds"):
        train_svms(features, objects)
    objects[:, 1] = 1
    with pytest.raises(ValueError, match="Class 1 has 0 negative images"):
        train_svms(features, objects)
    with pytest.raises(ValueError, match="1 folds"):
        train_svms(features, objects, folds=1)


def test_features_that_are_not_finite_are_an_error() -> None:
    features, objects = make_split(60, 5, seed=9)
    features[4, 2] = np.nan
    features[7, 1] = np.inf
    with pytest.raises(ValueError, match="2 of 60 samples have NaN or infinite features"):
        train_svms(features, objects)
    with pytest.raises(ValueError, match=r"shape \(5,\), expected \(N, D\)"):
        unit_length(features[0])


def test_what_does_not_fit_is_found_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svm, "train_svms", lambda *arguments, **options: pytest.fail("trained"))
    features, objects = make_split(60, 5, seed=9)
    good: dict[str, Any] = {
        "train_features": features,
        "train_objects": objects,
        "test_features": features,
        "test_objects": objects,
    }
    for changes in (
        {"train_features": features[:-1]},
        {"test_objects": objects[:-1]},
        {"test_features": features[:, :-1]},
        {"test_objects": objects[:, :-1]},
        {"test_features": features[0]},
    ):
        with pytest.raises(ValueError, match="shapes"):
            svm_scores(**(good | changes))
    with pytest.raises(ValueError, match="Class 2 is shown in none of 60 test images"):
        svm_scores(**(good | {"test_objects": np.where([1, 1, 0], objects, -1)}))


def test_features_and_objects_of_other_numbers_are_an_error() -> None:
    features, objects = make_split(60, 5, seed=9)
    with pytest.raises(ValueError, match="Got 59 features for 60 images"):
        train_svms(features[1:], objects)
