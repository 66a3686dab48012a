import pytest

from helpers import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import (
    BalancedClusters,
    KMeansBootstrap,
    SamplesMemory,
    SwappedTargets,
)


def test_a_single_view_is_refused_before_training() -> None:
    callbacks = [SamplesMemory(), KMeansBootstrap(), SwappedTargets()]
    with pytest.raises(ValueError, match=r"data\.num_views=1.*set data\.num_views=2"):
        tiny_trainer(callbacks).fit(tiny_module(6), TinyData(60, 16))


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_impossible_temperatures(temperature: float) -> None:
    with pytest.raises(ValueError, match=r"swapped_targets\.temperature=.*more than 0"):
        SwappedTargets(temperature=temperature)
    with pytest.raises(ValueError, match=r"balanced_clusters\.temperature=.*more than 0"):
        BalancedClusters(temperature=temperature)


@pytest.mark.parametrize("name", ["every_n_steps", "iterations", "max_samples"])
def test_impossible_numbers(name: str) -> None:
    with pytest.raises(ValueError, match=rf"balanced_clusters\.{name}=0; expected 1 or more"):
        BalancedClusters(**{name: 0})
