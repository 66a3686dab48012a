"""One rank goes through all collectives; with a GPU, by NCCL on the device."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from benchmarks.gpu.one_rank import all_collectives

from odc_lightning.utils import distributed

BACKENDS = [("gloo", "cpu"), pytest.param(("nccl", "cuda"), marks=pytest.mark.gpu)]


@pytest.fixture
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[torch.device]:
    """The device of a group with one rank, whose code takes the paths of several."""
    backend, name = request.param
    dist.init_process_group(backend, init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        with all_collectives():
            yield torch.device(name)
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("device", BACKENDS, indirect=True, ids=["gloo", "nccl"])
def test_every_collective_gives_back_what_the_only_rank_gave(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    for name in ("all_reduce", "all_gather", "broadcast", "broadcast_object_list"):
        real = getattr(dist, name)

        def noted(*given: Any, name: str = name, real: Any = real, **more: Any) -> None:
            taken.append(name)
            real(*given, **more)

        monkeypatch.setattr(dist, name, noted)
    indices = torch.tensor([2**40, 3, 5], device=device)
    features, labels = torch.rand(3, 4, device=device), torch.tensor([7, 8, 9], device=device)
    gathered = distributed.all_gather_batch(indices, features, labels)
    for given, back in zip((indices, features, labels), gathered, strict=True):
        assert back.device.type == device.type
        assert torch.equal(given, back)
    assert set(taken) == {"all_gather"}
    total = distributed.sum_over_ranks(features)
    assert torch.equal(total, features)
    (in_ram,) = distributed.sum_tensors([features.cpu()], device)
    assert torch.equal(in_ram, features.cpu())
    rows = features.cpu()
    distributed.share_rows(rows, device)
    assert torch.equal(rows, features.cpu())
    assert distributed.gather_rows(labels).tolist() == [[7, 8, 9]]
    assert distributed.largest_over_ranks(4, device) == 4
    assert torch.equal(distributed.broadcast(features.clone()), features)
    assert distributed.from_rank_zero(lambda: "decided") == "decided"
    assert set(taken) == {"all_reduce", "all_gather", "broadcast", "broadcast_object_list"}
