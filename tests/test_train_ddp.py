from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.equal_runs import assert_same
from helpers.paths import TESTS
from helpers.processes import run_python
from odc_lightning.data.held_back import held_back_rows


def train_on_two_ranks(tmp_path: Path, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The real command with two gloo processes, on real images; what each rank ended with."""
    zero = train_on_ranks(2, tmp_path, *options)
    one = torch.load(tmp_path / "rank1.pt", weights_only=True)
    assert zero["pid"] != one["pid"]
    return zero, one


def train_on_ranks(ranks: int, tmp_path: Path, *options: str) -> dict[str, Any]:
    """The same with any number of ranks; what the first ended with."""
    tmp_path.mkdir(exist_ok=True)
    command = [
        *("-m", "odc_lightning.train"),
        f"trainer.devices={ranks}",
        *("trainer.strategy=ddp", "trainer.max_epochs=3", "trainer.accelerator=cpu"),
        *("data.num_workers=0", f"hydra.run.dir={tmp_path}/run"),
        # N is odd and the last batch is kept: the sampler pads with a duplicate.
        *("data.drop_last=false", "+callbacks.dump._target_=helpers.ddp_probe.DumpMemory"),
        f"+callbacks.dump.folder={tmp_path}",
        *options,
    ]
    done = run_python(*command, cwd=tmp_path, environment={"PYTHONPATH": str(TESTS)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("wall time") == 1  # rank 0 alone reports
    assert (tmp_path / "run" / "summary.json").exists()
    return torch.load(tmp_path / "rank0.pt", weights_only=True)


def assert_equal_replicas(zero: dict[str, Any], one: dict[str, Any]) -> None:
    """Everything but what each rank has seen is the same, bit for bit."""
    assert zero.keys() == one.keys()
    for state, other in ((zero, one), (zero["head"], one["head"])):
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and name not in ("indices", "pid"):
                assert torch.equal(value, other[name]), name
    assert not torch.equal(zero["indices"], one["indices"])


@pytest.mark.ddp
@pytest.mark.parametrize(
    "options",
    [
        (),
        pytest.param(
            ("algorithm=odc_openselfsup", "trainer.accumulate_grad_batches=2"),
            marks=pytest.mark.long,
        ),
        pytest.param(("trainer.strategy=ddp_spawn",), marks=pytest.mark.long),
    ],
)
def test_two_processes_end_with_equal_memories(tmp_path: Path, options: tuple[str, ...]) -> None:
    zero, one = train_on_two_ranks(tmp_path, "experiment=odc_digits", *options)
    assert_equal_replicas(zero, one)
    assert set(zero["indices"].tolist()) | set(one["indices"].tolist()) == set(range(1437))
    assert int(zero["counts"].sum()) == 1437


@pytest.mark.ddp
def test_two_processes_keep_the_same_state(tmp_path: Path) -> None:
    options = (
        *("experiment=odc_small", "data=digits", "data.subset={num_images: 261}"),
        *("model.backbone.width=4", "data.batch_size=32", "algorithm.num_clusters=12"),
        *("data.held_back=0.1", "trainer.max_epochs=2", "optimizer.lr=0.03"),
        *("callbacks.keep_best.min_gain=0", "callbacks.replica_check.every_n_steps=1"),
        "callbacks.keep_best.final_kmeans=true",
        *(
            "+callbacks.kept._target_=helpers.ddp_probe.DumpKept",
            f"+callbacks.kept.folder={tmp_path}",
        ),
    )
    zero, one = train_on_two_ranks(tmp_path, *options)
    assert_equal_replicas(zero, one)
    kept, other = (torch.load(tmp_path / f"kept{rank}.pt", weights_only=True) for rank in (0, 1))
    assert_same(kept, other, "kept")
    kept_at_end = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)
    assert_same(kept["kept"]["network"], kept_at_end["state_dict"], "best.ckpt")
    assert kept["start_neighbours"].shape == (50, 10)
    held_back = held_back_rows(261, 0.1, seed=0)
    trained = {*zero["indices"].tolist(), *one["indices"].tolist()}
    assert trained == set(range(261)) - set(held_back.tolist())


@pytest.mark.ddp
def test_what_a_spawned_rank_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    """As of a rank that is started as a command: no traceback."""
    settings = ("experiment=odc_digits", "trainer.devices=2", "trainer.strategy=ddp_spawn")
    command = ["-m", "odc_lightning.train", *settings, "trainer.accelerator=cpu"]
    command += ["algorithm.num_clusters=1000", f"hydra.run.dir={tmp_path}/run"]
    done = run_python(*command, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "1000" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.ddp
def test_two_synchronised_processes_are_one(tmp_path: Path) -> None:
    """The same global batches, batch normalisation and loss weights over both ranks."""
    options = (
        *("experiment=odc_digits", "trainer.max_epochs=2", "data.drop_last=true"),
        *("model.neck.dropout=0.0", "callbacks.label_scores.knn=false", "optimizer.lr=0.01"),
        *("data.subset={num_images: 400}", "model.backbone.width=8", "data.batch_size=32"),
        *("algorithm.num_clusters=20", "algorithm.small_clusters.threshold=5"),
        "+callbacks.synchronised._target_=helpers.ddp_probe.SynchronisedNorm",
        "trainer.precision=64-true",  # in fp32 a rounding can move a sample, and that others
    )
    zero, one = train_on_two_ranks(tmp_path / "two", *options)
    alone = train_on_ranks(1, tmp_path / "one", *options)
    assert torch.equal(
        torch.stack([zero["indices"], one["indices"]], 1).flatten(), alone["indices"]
    )
    assert torch.equal(zero["labels"], alone["labels"])
    for name in ("features", "centroids"):
        torch.testing.assert_close(zero[name], alone[name], atol=1e-5, rtol=0)
    torch.testing.assert_close(zero["head"]["weight"], alone["head"]["weight"], atol=1e-6, rtol=0)


@pytest.mark.ddp
@pytest.mark.long
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
@pytest.mark.parametrize("ranks", [2, 4])
def test_memories_are_equal_after_hundreds_of_steps(
    tmp_path: Path, strategy: str, ranks: int
) -> None:
    options = ("experiment=odc_digits", f"trainer.strategy={strategy}", "data.batch_size=64")
    settings = ("trainer.max_epochs=14", "callbacks.replica_check.every_n_steps=10")
    first = train_on_ranks(ranks, tmp_path, *options, *settings)
    assert len(first["indices"]) // 16 > 300
    for rank in range(1, ranks):
        other = torch.load(tmp_path / f"rank{rank}.pt", weights_only=True)
        assert first["pid"] != other["pid"]
        assert_equal_replicas(first, other)


@pytest.mark.ddp
@pytest.mark.long
def test_two_processes_of_deepcluster_with_weights_agree(tmp_path: Path) -> None:
    options = ("experiment=dc_quickstart", "data.batch_size=128", "algorithm.reweight=true")
    assert_equal_replicas(*train_on_two_ranks(tmp_path, *options))


@pytest.mark.long
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
