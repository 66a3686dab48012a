"""Draws of the low-shot protocol, and its scores against a loop over scikit-learn's SVMs."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.svm import LinearSVC

from odc_lightning.metrics import linear_svm, low_shot
from odc_lightning.metrics.average_precision import average_precisions, voc_average_precision
from odc_lightning.metrics.low_shot import ONE_SHOT_COST, LowShotScores, low_shot_scores
from odc_lightning.metrics.low_shot_draws import (
    draw_multi_label,
    draw_single_label,
    largest_shot,
    one_versus_rest,
)
from odc_lightning.metrics.low_shot_settings import SHOTS, ChooseCost, LowShotSettings

COSTS = (10.0, 1.0, 0.01)
# One shot has fewer samples than dimensions, eight have more.
FEW_SHOTS = (1, 2, 8)


@pytest.fixture
def objects() -> NDArray[np.int64]:
    """(200, 4), each class shown in about 40 images and difficult in about 20."""
    return np.random.default_rng(0).choice([1, -1, 0], size=(200, 4), p=[0.2, 0.7, 0.1])


@pytest.fixture(scope="module")
def digits() -> dict[str, Any]:
    """Raw pixels (300, 64) and (120, 64) of scikit-learn's digits."""
    pixels, labels = load_digits(return_X_y=True)
    return {
        "train_features": pixels[:300].astype(np.float32),
        "train_objects": one_versus_rest(labels[:300], 10),
        "test_features": pixels[300:420].astype(np.float32),
        "test_objects": one_versus_rest(labels[300:420], 10),
    }


@pytest.fixture(scope="module")
def scenes() -> dict[str, Any]:
    """Features (250, 40) and (90, 40) with 3 classes that may be shown together or be difficult."""
    generator = np.random.default_rng(0)
    truth = generator.standard_normal((340, 3))
    objects = np.select([truth > 0.7, truth > 0.5], [1, 0], -1)
    features = truth @ generator.standard_normal((3, 40)) + generator.standard_normal((340, 40))
    return {
        "train_features": features[:250],
        "train_objects": objects[:250],
        "test_features": features[250:],
        "test_objects": objects[250:],
    }


def scored(
    *,
    n_jobs: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    **arguments: Any,
) -> LowShotScores:
    """`low_shot_scores` of data as the fixtures have them, and settings."""
    names = ("train_features", "train_objects", "test_features", "test_objects")
    data = {name: arguments.pop(name) for name in names}
    settings = LowShotSettings(**arguments)
    return low_shot_scores(**data, settings=settings, n_jobs=n_jobs, on_progress=on_progress)


def normalised(features: NDArray) -> NDArray[np.float64]:
    wide = features.astype(np.float64)
    return wide / (np.linalg.norm(wide, axis=1) + 1e-5)[:, np.newaxis]


class Loop:
    """The SVMs of one draw, one after the other.

    Attributes:
        validated: (P,) mean average precision of held-out images, over classes; 0 for one shot.
        voc, sklearn, top1: (P,) what they score on the test images.
    """

    def __init__(
        self, data: dict[str, Any], rows: NDArray[np.int64], shot: int, costs: Sequence[float]
    ) -> None:
        num_classes = len(rows)
        test, objects = normalised(data["test_features"]), data["test_objects"]
        self.validated = np.zeros(len(costs))
        values = np.empty((len(costs), len(test), num_classes))
        precisions = np.empty((2, len(costs), num_classes))
        for (p, cost), c in product(enumerate(costs), range(num_classes)):
            samples = normalised(data["train_features"][rows[c]])
            labels = np.array([1] * shot + [-1] * (len(rows[c]) - shot))
            machine = LinearSVC(
                C=cost, class_weight={1: 2, -1: 1}, dual=True, max_iter=2000, random_state=0
            )
            if shot > 1:
                self.validated[p] += cross_val_score(
                    machine, samples, labels, cv=min(3, shot), scoring="average_precision"
                ).mean()
            values[p, :, c] = machine.fit(samples, labels).decision_function(test)
            sure = objects[:, c] != 0
            shown = objects[sure, c] == 1
            precisions[0, p, c] = voc_average_precision(shown, values[p, sure, c])
            precisions[1, p, c] = average_precision_score(shown, values[p, sure, c])
        self.voc, self.sklearn = precisions.mean(axis=2)
        self.top1 = (values.argmax(axis=2) == objects.argmax(axis=1)).mean(axis=1)


def loops(data: dict[str, Any], draws: int, single_label: bool) -> list[list[Loop]]:
    """A row for each draw, a column for each of FEW_SHOTS."""
    draw = draw_single_label if single_label else draw_multi_label
    return [
        [
            Loop(data, draw(data["train_objects"], shot, draw=row, seed=3), shot, COSTS)
            for shot in FEW_SHOTS
        ]
        for row in range(draws)
    ]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("single_label", [True, False])
def test_scores_and_costs_are_those_of_the_loop(
    digits: dict[str, Any], scenes: dict[str, Any], single_label: bool
) -> None:
    data = digits if single_label else scenes
    expected = loops(data, 2, single_label)
    found = scored(**data, single_label=single_label, shots=FEW_SHOTS, draws=2, costs=COSTS, seed=3)
    assert found.shots == FEW_SHOTS
    assert found.map.shape == found.map_sklearn.shape == found.costs.shape == (2, 3)
    assert (found.top1 is not None) == single_label
    for row, column in product(range(2), range(3)):
        loop = expected[row][column]
        best = 1 if FEW_SHOTS[column] == 1 else int(loop.validated.argmax())
        assert found.costs[row, column] == COSTS[best]
        assert found.map[row, column] == pytest.approx(loop.voc[best])
        assert found.map_sklearn[row, column] == pytest.approx(loop.sklearn[best])
        if found.top1 is not None:
            assert found.top1[row, column] == pytest.approx(loop.top1[best])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("single_label", [True, False])
def test_the_legacy_cost_is_the_best_on_the_test_images(
    digits: dict[str, Any],
    scenes: dict[str, Any],
    single_label: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(low_shot, "cross_validate", lambda *arguments: pytest.fail("validated"))
    data = digits if single_label else scenes
    expected = loops(data, 2, single_label)
    found = scored(
        **data,
        single_label=single_label,
        shots=FEW_SHOTS,
        draws=2,
        costs=COSTS,
        seed=3,
        choose_cost="test_set",
    )
    for column in range(3):
        both = [expected[row][column] for row in range(2)]
        best = int(np.mean([loop.voc for loop in both], axis=0).argmax())
        assert found.costs[:, column].tolist() == 2 * [COSTS[best]]
        assert found.map[:, column] == pytest.approx([loop.voc[best] for loop in both])
        assert found.map_sklearn[:, column] == pytest.approx([loop.sklearn[best] for loop in both])
        if found.top1 is not None:
            assert found.top1[:, column] == pytest.approx([loop.top1[best] for loop in both])


def test_the_legacy_cost_is_best_by_the_voc_definition(
    scenes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def contrary(objects: NDArray, scores: NDArray) -> tuple[NDArray, NDArray]:
        ap, _ = average_precisions(objects, scores)
        return ap, 1 - ap

    options: dict[str, Any] = {"shots": [2, 8], "draws": 2, "costs": COSTS}
    expected = scored(**scenes, **options, choose_cost="test_set")
    monkeypatch.setattr(low_shot, "average_precisions", contrary)
    found = scored(**scenes, **options, choose_cost="test_set")
    assert np.array_equal(found.costs, expected.costs)
    assert found.map_sklearn == pytest.approx(1 - expected.map)


def test_processes_find_the_same(scenes: dict[str, Any]) -> None:
    one, two = (
        scored(**scenes, shots=[2, 4], draws=2, costs=COSTS, n_jobs=n_jobs) for n_jobs in (1, 2)
    )
    assert np.array_equal(one.costs, two.costs)
    assert one.map == pytest.approx(two.map)
    assert one.map_sklearn == pytest.approx(two.map_sklearn)


@pytest.mark.parametrize("choose_cost", ["cross_validation", "test_set"])
def test_fits_and_progress_are_counted(
    scenes: dict[str, Any], choose_cost: ChooseCost, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_svm, made = linear_svm.fit_svm, []

    def fit_and_count(*arguments: Any) -> linear_svm.FittedSVM:
        made.append(fit_svm(*arguments))
        return made[-1]

    monkeypatch.setattr(linear_svm, "fit_svm", fit_and_count)
    monkeypatch.setattr(low_shot, "fit_svm", fit_and_count)
    monkeypatch.setattr(linear_svm, "_MAX_ITERATIONS", 20)
    calls: list[tuple[int, int]] = []
    found = scored(
        **scenes,
        shots=[4, 1, 2],
        draws=2,
        costs=COSTS,
        choose_cost=choose_cost,
        on_progress=lambda done, total: calls.append((done, total)),
    )
    # three classes of two draws: (3 + 2) folds for each cost and a fit for each shot; or all costs
    assert found.fits == len(made) == 3 * 2 * (5 * 3 + 3 if choose_cost != "test_set" else 3 * 3)
    assert found.unconverged == sum(not fit.converged for fit in made) > 0
    total = 3 * 2 * (2 + 3 if choose_cost != "test_set" else 3)
    assert calls == [(done, total) for done in range(1, total + 1)]


def test_scores_are_in_the_order_of_the_shots(scenes: dict[str, Any]) -> None:
    up = scored(**scenes, shots=[1, 8], draws=2, costs=COSTS)
    down = scored(**scenes, shots=[8, 1], draws=2, costs=COSTS)
    assert np.array_equal(up.map, down.map[:, ::-1])
    assert np.array_equal(up.costs, down.costs[:, ::-1])
    assert (up.costs[:, 0] == ONE_SHOT_COST).all()
    assert up.map[:, 1].mean() > up.map[:, 0].mean()


@pytest.mark.parametrize("shot", [1, 5])
def test_each_class_of_several_labels_has_its_own_draw(
    objects: NDArray[np.int64], shot: int
) -> None:
    rows = draw_multi_label(objects, shot, draw=0)
    assert rows.shape == (4, 4 * shot)
    for column, row in enumerate(rows):
        assert len(set(row)) == len(row)
        assert (objects[row[:shot], column] == 1).all()
        assert (objects[row[shot:], column] == -1).all()  # not difficult
    assert len(set(rows[:, shot:].ravel())) > 3 * shot  # not the same negatives for all


def test_everything_is_drawn_if_need_be() -> None:
    objects = np.array([[1, -1], [1, -1], [-1, 1], [-1, 1], [0, 0]])
    rows = draw_multi_label(objects, 2, draw=0)
    assert np.sort(rows).tolist() == [[0, 1, 2, 3], [0, 1, 2, 3]]
    assert sorted(rows[1, :2]) == [2, 3]


def test_single_labels_are_drawn_once_for_all_classes() -> None:
    labels = np.random.default_rng(0).integers(5, size=100)
    rows = draw_single_label(one_versus_rest(labels, 5), 6, draw=0)
    assert rows.shape == (5, 30)
    for column, row in enumerate(rows):
        assert len(set(row)) == 30
        assert (labels[row[:6]] == column).all()
        assert set(row) == set(rows[0])
        others = rows[np.arange(5) != column, :6]
        assert set(row[6:]) == set(others.ravel())


def test_folds_of_single_labels_hold_all_classes() -> None:
    labels = np.arange(100) % 5
    for row in draw_single_label(one_versus_rest(labels, 5), 6, draw=0):
        for _, held_out in StratifiedKFold(3).split(row, np.arange(30) < 6):
            assert np.bincount(labels[row[held_out]]).tolist() == [2] * 5


@pytest.mark.parametrize("draw_images", [draw_multi_label, draw_single_label])
def test_a_draw_depends_on_seed_number_and_shot_alone(draw_images: Any) -> None:
    objects = one_versus_rest(np.arange(200) % 4, 4)
    keys = list(product((0, 1), (0, 1, 2), (3, 4)))
    forth = {k: draw_images(objects, k[2], draw=k[1], seed=k[0]).tolist() for k in keys}
    back = {k: draw_images(objects, k[2], draw=k[1], seed=k[0]).tolist() for k in keys[::-1]}
    assert forth == back
    assert len({str(rows) for rows in forth.values()}) == len(keys)
    np.random.seed(0)  # noqa: NPY002
    assert draw_images(objects, 3, draw=0, seed=0).tolist() == forth[0, 0, 3]
    generator = np.random.default_rng([1, 2, 4])  # seed, number, shot
    first = generator.choice(np.arange(0, 200, 4), 4, replace=False)
    assert forth[1, 2, 4][0][:4] == first.tolist()


def test_one_versus_rest() -> None:
    objects = one_versus_rest([2, 0], 3)
    assert objects.tolist() == [[-1, -1, 1], [1, -1, -1]]
    for labels in ([3], [-1], [0.5], [[0]]):
        with pytest.raises(ValueError, match="integers from 0 to 2"):
            one_versus_rest(labels, 3)


def test_the_largest_shot() -> None:
    assert largest_shot(one_versus_rest([0, 0, 0, 1, 1, 2, 2, 2], 3)) == 2
    # 3 positives each, but class 0 has only 5 negatives for 2 others
    objects = np.array([[1, 1, 1]] * 3 + [[-1, -1, -1]] * 5 + [[0, -1, -1]] * 9)
    assert largest_shot(objects) == 2


def test_a_class_with_too_few_images_is_named(scenes: dict[str, Any]) -> None:
    message = r"8 shots need 8 positive images .* class 1 has 2; .* these images allow are 2"
    objects = one_versus_rest(np.repeat([0, 1, 2], [9, 2, 9]), 3)
    for draw_images in (draw_multi_label, draw_single_label):
        with pytest.raises(ValueError, match=message):
            draw_images(objects, 8, draw=0)
    with pytest.raises(ValueError, match=r"6 negative images .* class 0 has 5; .* allow are 2"):
        draw_multi_label([[1, 1, 1]] * 3 + [[-1, -1, -1]] * 5 + [[0, -1, -1]] * 9, 3, draw=0)
    with pytest.raises(ValueError, match="96 shots need 96 positive"):
        scored(**scenes, shots=SHOTS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shots": []}, r"shots \[\]"),
        ({"shots": [0, 2]}, r"shots \[0, 2\]"),
        ({"draws": 0}, "draws=0"),
        ({"choose_cost": "luck"}, "choose_cost='luck'"),
        ({"single_label": True}, "do not have just one label, the first at index"),
        ({"test_features": np.ones((90, 39))}, "shapes"),
    ],
)
def test_bad_input_is_an_error(
    scenes: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        scored(**(scenes | {"shots": [1]} | changes))
