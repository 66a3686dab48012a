"""Steps that take turns: what is done in which."""

import pytest
from benchmarks.step import KINDS, TINY, WARM_UP, measure
from benchmarks.tables import NO_GPU, Table

from benchmarks import step
from odc_lightning.memory import ClusterMemory


def test_clusters_change_in_the_steps_of_odc_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    steps: list[int] = []
    write = ClusterMemory.write
    started = step.Clock.on_train_batch_start

    def on_start(self: step.Clock, *arguments: object) -> None:
        steps.append(len(steps) % len(KINDS))
        started(self, *arguments)

    def noted(self: ClusterMemory, *arguments: object) -> object:
        written.append(steps[-1])
        return write(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(step.Clock, "on_train_batch_start", on_start)
    monkeypatch.setattr(ClusterMemory, "write", noted)
    tables = list(measure(quick=True))
    assert steps == list(range(len(KINDS))) * (WARM_UP + TINY.steps)
    assert written == [1, 2] * (WARM_UP + TINY.steps)
    (table,) = tables
    assert isinstance(table, Table)
    tiny, gpu = table.rows
    assert tiny[0] == "tiny"
    assert all(float(cell) > 0 for cell in tiny[4:] if cell is not None)
    assert NO_GPU in gpu
