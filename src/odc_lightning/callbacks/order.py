"""The one fixed order of the callbacks.

Callbacks read the memory at the start of a batch. After the forward pass `SamplesMemory` writes the
batch's new features and labels, `NamedClusters` labels the images in pairs, and then
`SmallClusters` asks whether a cluster is small. Guards
run before all others: they ask after the forward pass, and reject the batch before the optimiser
step. At the end of a batch:

1. `CentroidRefresh` updates the centroids from the memory, every k iterations.
2. `SmallClusters` removes small clusters, so that no later step sees one.
3. `BalancedClusters` balances the clusters, with the centroids of the next step.
4. Callbacks that only observe (monitors, scores, progress) see the state of the next step.

At the start of a batch `SamplesMemory` sets the labels, `LossReweighting` computes weights from
them, and then `CurrentTargets` replaces them. `KMeansBootstrap` fills the samples memory, so it
runs after `SamplesMemory` and before all callbacks that observe. `NamedClusters` comes between
these two: it gives the memory, once that is allocated, the limits that the first clusters keep.
"""

from collections.abc import Iterable

import pytorch_lightning as pl

GUARDS = ("FiniteCheck",)
ORDER = (
    "SamplesMemory",
    "NamedClusters",
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
    """Sort callbacks into the order in which they must run.

    Callbacks that are neither in `GUARDS` nor in `ORDER` come last, in their given order.
    """
    return sorted(callbacks, key=_place)


def check_order(callbacks: Iterable[pl.Callback]) -> None:
    """Check that the callbacks are in the order of `in_order`.

    Raises:
        ValueError: if they are not.
    """
    given = [callback for callback in callbacks if _place(callback) < len(_FIRST)]
    expected = in_order(given)
    if given != expected:
        raise ValueError(
            "the clustering callbacks are in the wrong order: got "
            f"{[type(callback).__name__ for callback in given]}, expected "
            f"{[type(callback).__name__ for callback in expected]}; pass them through "
            "odc_lightning.callbacks.in_order"
        )
