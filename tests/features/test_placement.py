"""Where the memory's features lie makes no difference to what is computed from them."""

import logging
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from helpers.tiny import TinyData, tiny_module, tiny_trainer
from odc_lightning.callbacks import CentroidRefresh, KMeansBootstrap, SamplesMemory, SmallClusters
from odc_lightning.callbacks.odc import global_clustering
from odc_lightning.callbacks.order import in_order
from odc_lightning.clustering import cluster_sums
from odc_lightning.features import placement
from odc_lightning.features.placement import (
    Budget,
    Precision,
    budget,
    choose_place,
    place_features,
    where_it_fits,
)
from odc_lightning.memory import ClusterMemory

N, C, D, B = 300, 7, 16, 32
GB = 10**9


def place(
    where: str, precision: Precision, folder: Path, size: tuple[int, int] = (N, D)
) -> tuple[Tensor, str]:
    return place_features(
        *size,
        device=torch.device("cpu"),
        place=where,  # type: ignore[arg-type]
        precision=precision,
        folder=folder,
        free=budget(torch.device("cpu"), folder, ranks_on_node=1),
    )


@pytest.mark.parametrize(
    ("free", "wanted", "expected"),
    [
        (Budget(80 * GB, 200 * GB, 900 * GB), "auto", "device"),
        (Budget(15 * GB, 200 * GB, 900 * GB), "auto", "ram"),
        (Budget(15 * GB, 15 * GB, 900 * GB), "auto", "disk"),
        (Budget(80 * GB, 200 * GB, 900 * GB), "disk", "disk"),
        (Budget(None, 200 * GB, 900 * GB), "auto", "ram"),
        (Budget(None, 200 * GB, 900 * GB), "device", "ram"),
        (Budget(None, 15 * GB, 900 * GB), "auto", "disk"),
    ],
)
def test_the_nearest_place_with_room(free: Budget, wanted: str, expected: str) -> None:
    assert choose_place(10 * GB, free, wanted) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("free", "wanted", "message"),
    [
        (Budget(15 * GB, 0, 0), "device", r"are 10.0 GB, and there is room for 7.5 GB at 'device'"),
        (Budget(80 * GB, 9 * GB, 0), "ram", r"4.5 GB at 'ram'.*precision=float16"),
        (Budget(None, 9 * GB, 9 * GB), "auto", r"4.5 GB at 'ram', 9.0 GB at 'disk'"),
    ],
)
def test_no_room(free: Budget, wanted: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_place(10 * GB, free, wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(("free", "place"), [(4 * 4000, "meta"), (4 * 4000 - 1, "cpu")])
def test_features_go_to_a_device_if_two_copies_take_half_its_memory(
    monkeypatch: pytest.MonkeyPatch, free: int, place: str
) -> None:
    monkeypatch.setattr(placement, "budget", lambda *_: Budget(device=free, ram=GB, disk=GB))
    features = torch.zeros(100, 10)
    assert where_it_fits(features, torch.device("meta")).device.type == place
    assert where_it_fits(features, torch.device("cpu")) is features


def test_unknown_settings(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"place='tape'; expected auto, device, ram, disk"):
        place("tape", "float32", tmp_path)
    with pytest.raises(ValueError, match=r"precision='int8'; expected float32, float16, bfloat16"):
        place("ram", "int8", tmp_path)  # type: ignore[arg-type]


def test_a_file_has_its_blocks_and_no_name(tmp_path: Path) -> None:
    folder = tmp_path / "not there yet"
    features, where = place("disk", "bfloat16", folder)
    assert features.shape == (N, D)
    assert features.dtype == torch.bfloat16
    assert not features.any()
    assert list(folder.iterdir()) == []
    assert f"in a file in {folder}" in where
    features[3] = 1.5
    assert float(features[3].sum()) == 24


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"another algorithm\.samples_memory\.scratch_dir"):
        place("disk", "float32", tmp_path / "file" / "folder")


def clusterings(memory: ClusterMemory) -> list[Tensor]:
    """What a memory holds after some steps."""
    generator = torch.Generator().manual_seed(0)
    memory.features.copy_(normalize(torch.randn(N, D, generator=generator), dim=1))
    memory.initialize(torch.arange(N) % C)
    for _ in range(20):
        indices = torch.randint(N, (B,), generator=generator)  # some occur twice
        features = torch.randn(B, D, generator=generator)
        memory.write(indices, *memory.propose(indices, features))
        memory.set_centroids(memory.refreshed_centroids())
    return [getattr(memory, name).clone() for name in ("labels", "counts", "centroids", "sums")]


def test_on_disk_it_is_the_same_to_the_bit(tmp_path: Path) -> None:
    mapped, _ = place("disk", "float32", tmp_path)
    there = ClusterMemory(N, C, D, features=mapped)
    here = ClusterMemory(N, C, D)
    for one, other in zip(clusterings(there), clusterings(here), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(there.features, here.features)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("where", ["ram", "disk"])
def test_half_precision_rounds_the_features_and_nothing_else(
    tmp_path: Path, where: str, precision: Precision
) -> None:
    features, _ = place(where, precision, tmp_path)
    memory = ClusterMemory(N, C, D, features=features)
    clusterings(memory)
    # The running sums are those of the rounded features.
    assert torch.equal(memory.sums, cluster_sums(memory.features, memory.labels, C))
    # One step beside that of the same numbers in fp32: equal but for the rounding of the rows.
    exact = ClusterMemory(N, C, D, features=memory.features.float())
    exact.initialize(memory.labels)
    memory.initialize(memory.labels)
    indices, rows = torch.arange(B), torch.randn(B, D, generator=torch.Generator().manual_seed(1))
    for one in (memory, exact):
        one.write(indices, *one.propose(indices, rows))
    assert torch.equal(memory.labels, exact.labels)
    assert torch.equal(memory.features, exact.features.to(memory.features.dtype))


def test_a_training_with_features_on_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def trained(**settings: str) -> ClusterMemory:
        owner = SamplesMemory(**settings)  # type: ignore[arg-type]
        parts = [owner, KMeansBootstrap(), CentroidRefresh(2), SmallClusters(3)]
        trainer = tiny_trainer(in_order(parts), max_epochs=3)
        trainer.fit(tiny_module(5), datamodule=TinyData(96, 16))
        return owner.memory

    with caplog.at_level(logging.INFO, "odc_lightning"):
        on_disk = trained(place="disk", scratch_dir=str(tmp_path))
    assert "samples memory: 96 x 16 in float32" in caplog.text
    in_ram = trained()
    for name, tensor in in_ram.state_dict().items():
        assert torch.equal(on_disk.state_dict()[name], tensor), name
    half = trained(precision="float16")
    assert half.features.dtype == torch.float16
    assert half.counts.min() > 3


def test_ranks_choose_the_place_by_the_least_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = tiny_trainer([])
    monkeypatch.setattr(global_clustering, "budget", lambda *_: Budget(None, 9 * GB, 9 * GB))
    allocate = partial(global_clustering.allocate_features, trainer, 1000, 8, tmp_path)
    assert "in RAM" in allocate()[1]
    others = iter((10_000, 9 * GB))  # what another rank has in RAM and on disk
    monkeypatch.setattr(
        global_clustering, "largest_over_ranks", lambda number, _: max(number, -next(others))
    )
    assert "in a file in" in allocate()[1]
