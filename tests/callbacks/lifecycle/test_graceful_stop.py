"""Which signal of SLURM is taken over; what the signals do is in tests/faults."""

import signal
from types import SimpleNamespace
from typing import Any

import pytest
from lightning_fabric.plugins.environments import SLURMEnvironment

from helpers.tiny import tiny_trainer
from odc_lightning.callbacks.lifecycle.graceful_stop import requeue_signal


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, signal.SIGUSR1),
        ({"requeue_signal": signal.SIGUSR2}, signal.SIGUSR2),
        ({"auto_requeue": False}, None),
    ],
)
def test_the_signal_of_a_requeue(settings: dict[str, Any], expected: int | None) -> None:
    environment = SLURMEnvironment(**settings)
    assert requeue_signal(tiny_trainer([], plugins=[environment])) == expected
    several: Any = SimpleNamespace(strategy=SimpleNamespace(cluster_environment=environment))
    assert requeue_signal(several) == expected


def test_a_lightning_that_does_not_tell_its_environment() -> None:
    """One device has no public name for it; then the signal is SLURM's usual one."""
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace())
    assert requeue_signal(trainer) == signal.SIGUSR1
