"""Two processes set the same task as one."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.paths import TESTS
from helpers.processes import run_python


def run(folder: Path, devices: int, options: tuple[str, ...]) -> list[dict[str, Any]]:
    """One epoch by the real command; what each rank has set."""
    folder.mkdir()
    command = [
        *("-m", "odc_lightning.train", *options, "trainer.max_epochs=1"),
        *("trainer.accelerator=cpu", f"trainer.devices={devices}", f"hydra.run.dir={folder}/run"),
        *(f"trainer.strategy={'ddp_fork' if devices > 1 else 'auto'}", "data.num_workers=0"),
        *("data.subset={num_images: 128}", "data.batch_size=32", "model.backbone.width=4"),
        *("callbacks=none", "+callbacks.dump._target_=helpers.ddp_probe.DumpTask"),
        f"+callbacks.dump.folder={folder}",
    ]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    done = run_python(*command, cwd=folder, environment={"PYTHONPATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(devices)]


@pytest.mark.ddp
@pytest.mark.parametrize(
    "options",
    [
        ("experiment=jigsaw_fashion_mnist", "data=digits", "algorithm.num_clusters=24"),
        pytest.param(
            ("experiment=colorization_photos", "data.val.stride=32"), marks=pytest.mark.long
        ),
    ],
    ids=["jigsaw", "colorization"],
)
def test_two_processes_set_the_same_task_as_one(tmp_path: Path, options: tuple[str, ...]) -> None:
    (alone,) = run(tmp_path / "one", 1, options)
    zero, one = run(tmp_path / "two", 2, options)
    targets = alone.pop("targets")
    assert len(targets) == 128
    shares = zero.pop("targets"), one.pop("targets")
    assert not set(shares[0]) & set(shares[1])
    assert {**shares[0], **shares[1]} == pytest.approx(targets)
    assert zero.keys() == one.keys() == alone.keys()
    assert any(name.startswith("eval/") for name in zero)
    for name, value in zero.items():
        torch.testing.assert_close(value, one[name], rtol=0, atol=0)
        if not name.startswith("eval/"):  # batch statistics are those of a rank
            torch.testing.assert_close(value, alone[name])
