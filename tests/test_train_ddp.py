import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


@pytest.mark.ddp
@pytest.mark.parametrize(
    "options", [(), ("algorithm=odc_openselfsup", "trainer.accumulate_grad_batches=2")]
)
def test_two_processes_end_with_equal_memories(tmp_path: Path, options: tuple[str, ...]) -> None:
    """The real command with two gloo processes, on real images."""
    command = [
        *(sys.executable, "-m", "odc_lightning.train", "experiment=quickstart"),
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
    seen, other = zero.pop("indices"), one.pop("indices")
    assert not torch.equal(seen, other)
    assert set(seen.tolist()) | set(other.tolist()) == set(range(1437))
    assert zero.keys() == one.keys()
    for name in zero:
        assert torch.equal(zero[name], one[name]), name
    assert int(zero["counts"].sum()) == 1437
    assert done.stdout.count("wall time") == 1  # rank 0 alone reports
    assert (tmp_path / "run" / "summary.json").exists()
