import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[1]


def train_on_two_ranks(tmp_path: Path, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The real command with two gloo processes, on real images; what each rank ended with."""
    tmp_path.mkdir(exist_ok=True)
    command = [
        *(sys.executable, "-m", "odc_lightning.train"),
        *("trainer.devices=2", "trainer.strategy=ddp", "trainer.max_epochs=3"),
        *("data.num_workers=0", f"hydra.run.dir={tmp_path}/run"),
        # N is odd and the last batch is kept: the sampler pads with a duplicate.
        *("data.drop_last=false", "+callbacks.dump._target_=ddp_probe.DumpMemory"),
        f"+callbacks.dump.folder={tmp_path}",
        *options,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    zero, one = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert zero.pop("pid") != one.pop("pid")
    assert done.stdout.count("wall time") == 1  # rank 0 alone reports
    assert (tmp_path / "run" / "summary.json").exists()
    return zero, one


def assert_equal_replicas(zero: dict[str, Any], one: dict[str, Any]) -> None:
    """Everything but what each rank has seen is the same to the bit."""
    assert zero.keys() == one.keys()
    for state, other in ((zero, one), (zero["head"], one["head"])):
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and name != "indices":
                assert torch.equal(value, other[name]), name
    assert not torch.equal(zero["indices"], one["indices"])


@pytest.mark.ddp
@pytest.mark.parametrize(
    "options", [(), ("algorithm=odc_openselfsup", "trainer.accumulate_grad_batches=2")]
)
def test_two_processes_end_with_equal_memories(tmp_path: Path, options: tuple[str, ...]) -> None:
    zero, one = train_on_two_ranks(tmp_path, "experiment=odc_digits", *options)
    assert_equal_replicas(zero, one)
    assert set(zero["indices"].tolist()) | set(one["indices"].tolist()) == set(range(1437))
    assert int(zero["counts"].sum()) == 1437


@pytest.mark.ddp
def test_two_processes_of_deepcluster_with_weights_agree(tmp_path: Path) -> None:
    options = ("experiment=dc_quickstart", "data.batch_size=128", "algorithm.reweight=true")
    assert_equal_replicas(*train_on_two_ranks(tmp_path, *options))


@pytest.mark.ddp
def test_two_processes_of_deepcluster_agree_and_continue(tmp_path: Path) -> None:
    options = ("experiment=dc_quickstart", "data.batch_size=128")
    zero, one = train_on_two_ranks(tmp_path / "whole", *options)
    assert_equal_replicas(zero, one)
    train_on_two_ranks(tmp_path / "part", *options, "trainer.max_epochs=2")
    last = tmp_path / "part" / "run" / "checkpoints" / "last.ckpt"
    continued, _ = train_on_two_ranks(tmp_path / "rest", *options, f"ckpt_path={last}")
    for name in ("labels", "distances"):
        assert torch.equal(continued[name], zero[name]), name
    assert torch.equal(continued["head"]["weight"], zero["head"]["weight"])
    counts = zero["labels"].bincount(minlength=50)
    assert counts.min() > 0
    # The last epoch's labels were sampled uniformly, over both ranks together.
    steps = len(zero["indices"]) // 3
    drawn = torch.cat([zero["indices"][-steps:], one["indices"][-steps:]])
    sizes = zero["labels"][drawn].bincount(minlength=50)
    assert sizes.max() <= 1437 // 50 + 2  # one more where a rank was filled up
