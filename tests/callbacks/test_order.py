import pytest
import pytorch_lightning as pl

from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import (
    CentroidRefresh,
    KMeansBootstrap,
    LabelSwitchMonitor,
    LossReweighting,
    SamplesMemory,
    SmallClusters,
    check_order,
    in_order,
)


def test_whatever_the_order_given_the_writers_end_up_in_theirs() -> None:
    monitor, other = LabelSwitchMonitor(), pl.Callback()
    small, refresh, weights = SmallClusters(), CentroidRefresh(), LossReweighting()
    bootstrap, memory = KMeansBootstrap(), SamplesMemory()
    given = [monitor, small, other, refresh, weights, bootstrap, memory]
    expected = [memory, bootstrap, weights, refresh, small, monitor, other]
    assert in_order(given) == expected
    check_order(expected)


def test_a_subclass_takes_the_place_of_its_parent() -> None:
    class Mine(CentroidRefresh):
        pass

    mine, small = Mine(), SmallClusters()
    assert in_order([small, mine]) == [mine, small]


def test_a_wrong_order_is_refused_before_training() -> None:
    callbacks = [SamplesMemory(), KMeansBootstrap(), SmallClusters(1), CentroidRefresh()]
    with pytest.raises(ValueError, match=r"wrong order.*in_order"):
        tiny_trainer(callbacks).fit(tiny_module(4), TinyData(60, 16))


@pytest.mark.parametrize("callback", [KMeansBootstrap(), CentroidRefresh(), SmallClusters()])
def test_the_owner_of_the_memory_is_asked_for_by_its_config_key(callback: pl.Callback) -> None:
    module = tiny_module(4)
    with pytest.raises(ValueError, match=r"algorithm\.samples_memory"):
        tiny_trainer([callback]).fit(module, TinyData(60, 16))
