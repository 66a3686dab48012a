"""The one fixed order of the callbacks.

Readers of the memory act when a batch starts, writers when it ends. Before the writers whatever may
refuse the batch looks at it. Among the writers:

1. the samples memory writes the batch's new features and labels;
2. the centroids are refreshed from it, every k iterations;
3. small clusters are dealt with, so that no later step meets one;
4. the clusters are balanced, by the centroids that the next step will see;
5. whatever only looks (monitors, scores, progress) sees the state that the next step will see.

The samples memory also comes before the loss re-weighting when a batch starts, since weights need
labels, and that before the current targets, which take the labels' place. The bootstrap comes after
the memory, because it fills it, and before whatever looks.
"""

from collections.abc import Iterable

import pytorch_lightning as pl

GUARDS = ("FiniteCheck",)
ORDER = (
    "SamplesMemory",
    "KMeansBootstrap",
    "LossReweighting",
    "CurrentTargets",
    "CentroidRefresh",
    "SmallClusters",
    "BalancedClusters",
)
_FIRST = (*GUARDS, *ORDER)


def _place(callback: pl.Callback) -> int:
    names = [kind.__name__ for kind in type(callback).__mro__]
    return next((i for i, name in enumerate(_FIRST) if name in names), len(_FIRST))


def in_order(callbacks: Iterable[pl.Callback]) -> list[pl.Callback]:
    """Callbacks as they must run; those that are neither guards nor in `ORDER` come last."""
    return sorted(callbacks, key=_place)


def check_order(callbacks: Iterable[pl.Callback]) -> None:
    """Raise a ValueError if the callbacks are not `in_order`."""
    given = [callback for callback in callbacks if _place(callback) < len(_FIRST)]
    expected = in_order(given)
    if given != expected:
        raise ValueError(
            "the clustering's callbacks are in the wrong order: got "
            f"{[type(callback).__name__ for callback in given]}, expected "
            f"{[type(callback).__name__ for callback in expected]}; pass them through "
            "odc_lightning.callbacks.in_order"
        )
