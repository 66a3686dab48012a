"""Settings of the low-shot protocol, and the tasks that follow from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from odc_lightning.metrics.linear_svm import COSTS
from odc_lightning.metrics.low_shot_draws import check_shots, check_single_label

ChooseCost = Literal["cross_validation", "test_set"]

Cell = tuple[int, int]  # number of the draw, and position in the list of shots

SHOTS: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 96)


@dataclass(frozen=True)
class LowShotSettings:
    """Settings of the low-shot protocol.

    Attributes:
        single_label: draw as ``draw_single_label`` and score top-1, too, in place of
            ``draw_multi_label``.
        shots: K numbers of positives.
        draws: S, independent ones for each shot.
        choose_cost: ``"cross_validation"``: all classes of a draw share the cost with the highest
            average precision on held-out images, in the mean over min(3, k) stratified folds and
            over classes; one shot has ``ONE_SHOT_COST``. ``"test_set"``, as in the reference code:
            a shot has the cost with the highest mean average precision on the *test* images, over
            draws and classes. Such scores are too high, and only for comparison with numbers that
            were made in the same way.
        costs: P values of liblinear's C to choose from.
        seed: of the draws.
    """

    single_label: bool = False
    shots: Sequence[int] = SHOTS
    draws: int = 5
    choose_cost: ChooseCost = "cross_validation"
    costs: Sequence[float] = COSTS
    seed: int = 0

    @property
    def on_test_set(self) -> bool:
        """Whether costs are chosen on the test images."""
        return self.choose_cost == "test_set"

    @property
    def cells(self) -> list[Cell]:
        """All draws of all shots; the longest tasks first, so that processes end together."""
        cells = product(range(self.draws), range(len(self.shots)))
        return sorted(cells, key=lambda cell: -self.shots[cell[1]])

    @property
    def validated(self) -> list[Cell]:
        """Those whose cost is chosen by cross-validation."""
        if self.on_test_set:
            return []
        return [cell for cell in self.cells if self.shots[cell[1]] > 1]

    @property
    def fits_per_class(self) -> int:
        """Number of SVMs that are fitted for each class."""
        held_out = sum(num_folds(self.shots[column]) for _, column in self.validated)
        tested = len(self.costs) if self.on_test_set else 1
        return held_out * len(self.costs) + len(self.cells) * tested

    def check(self, train: NDArray[np.int8], test: NDArray[np.int8]) -> None:
        """Check the settings for objects (N, C) and (M, C) of the two splits.

        Raises:
            ValueError: a setting is invalid, or a class has too few images for a shot.
        """
        check_shots(train, self.shots)
        if self.single_label:
            check_single_label(train)
            check_single_label(test)
        if self.draws < 1 or self.choose_cost not in get_args(ChooseCost):
            raise ValueError(
                f"Got draws={self.draws} and choose_cost={self.choose_cost!r}, expected at least "
                f"one draw, and one of {get_args(ChooseCost)}."
            )


def num_folds(shot: int) -> int:
    """Number of folds of the cross-validation, for k positives."""
    return min(3, shot)
