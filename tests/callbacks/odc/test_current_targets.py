from collections.abc import Callable
from functools import partial

import pytest

from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import (
    BalancedClusters,
    CurrentTargets,
    KMeansBootstrap,
    SamplesMemory,
)
from odc_lightning.models import Head, LinearHead, PrototypeHead


@pytest.mark.parametrize("head", [LinearHead, partial(PrototypeHead, num_heads=2)])
def test_another_head_is_refused_before_training(head: Callable[..., Head]) -> None:
    callbacks = [SamplesMemory(), KMeansBootstrap(), CurrentTargets()]
    with pytest.raises(ValueError, match=r"PrototypeHead with num_heads=1; set head@model\.head"):
        tiny_trainer(callbacks).fit(tiny_module(6, head=head), TinyData(60, 16))


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_impossible_temperatures(temperature: float) -> None:
    with pytest.raises(ValueError, match=r"current_targets\.temperature=.*more than 0"):
        CurrentTargets(temperature=temperature)
    with pytest.raises(ValueError, match=r"balanced_clusters\.temperature=.*more than 0"):
        BalancedClusters(temperature=temperature)


@pytest.mark.parametrize("name", ["every_n_steps", "iterations", "max_samples"])
def test_impossible_numbers(name: str) -> None:
    with pytest.raises(ValueError, match=rf"balanced_clusters\.{name}=0; expected 1 or more"):
        BalancedClusters(**{name: 0})
