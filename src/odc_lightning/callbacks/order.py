"""The one fixed order of the callbacks.

Callbacks read the memory at the start of a batch and write to it at the end. Guards, which may
reject the batch, run before all others. At the end of a batch:

1. `SamplesMemory` writes the batch's new features and labels.
2. `CentroidRefresh` updates the centroids from the memory, every k iterations.
3. `SmallClusters` removes small clusters, so that no later step sees one.
4. `BalancedClusters` balances the clusters, with the centroids of the next step.
5. Callbacks that only observe (monitors, scores, progress) see the state of the next step.

At the start of a batch `SamplesMemory` sets the labels, `LossReweighting` computes weights from
them, and then `CurrentTargets` replaces them. `KMeansBootstrap` fills the samples memory, so it
runs after `SamplesMemory` and before all callbacks that observe. `FirstAnswer` shows the clusters
of the bootstrap, before other callbacks take their time.
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
_BOOTSTRAPPED = ORDER.index("KMeansBootstrap") + 1
# No part of the algorithm, so not in `ORDER`.
_FIRST = (*GUARDS, *ORDER[:_BOOTSTRAPPED], "FirstAnswer", *ORDER[_BOOTSTRAPPED:])


def _place(callback: pl.Callback) -> int:
    names = [kind.__name__ for kind in type(callback).__mro__]
    return next((i for i, name in enumerate(_FIRST) if name in names), len(_FIRST))


def in_order(callbacks: Iterable[pl.Callback]) -> list[pl.Callback]:
    """Sort callbacks into the order in which they must run.

    Callbacks without a place of their own come last, in their given order.
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
