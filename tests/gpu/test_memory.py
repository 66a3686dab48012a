"""The samples memory on a GPU: as on the CPU, equal to the bit in every place and at every turn."""

from pathlib import Path

import pytest
import torch
from benchmarks.gpu.memory import TINY, beside_the_cpu, repaired, repeated, stepped

from odc_lightning.features.placement import (
    PLACES,
    PRECISIONS,
    Place,
    Precision,
    budget,
    place_features,
)
from odc_lightning.memory import STATE

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("place", PLACES)
def test_labels_and_centroids_are_those_of_the_cpu(place: Place, precision: Precision) -> None:
    found = beside_the_cpu(TINY, "cuda", place, precision)
    assert found["agree"], found


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("place", ["ram", "disk"])
def test_the_place_of_the_features_makes_no_difference(place: Place, precision: Precision) -> None:
    on_device = stepped(TINY, "cuda", "device", precision).state_dict()
    elsewhere = stepped(TINY, "cuda", place, precision).state_dict()
    assert elsewhere["features"].device.type == "cpu"
    for name in STATE:
        assert torch.equal(elsewhere[name].cpu(), on_device[name].cpu()), name


def test_the_same_steps_give_the_same_bits() -> None:
    assert repeated(TINY, "cuda") == dict.fromkeys(STATE, True)


def test_small_clusters_are_repaired() -> None:
    assert repaired(TINY, "cuda")["all are normal"]


def test_the_device_is_the_place_with_room(tmp_path: Path) -> None:
    device = torch.device("cuda")
    free = budget(device, tmp_path, ranks_on_node=1)
    assert free.device is not None
    assert 0 < free.device <= torch.cuda.get_device_properties(0).total_memory
    features, where = place_features(
        100, 8, device=device, place="auto", precision="float32", folder=tmp_path, free=free
    )
    assert features.is_cuda
    assert "on cuda" in where


def test_a_state_from_a_file_goes_to_the_device(tmp_path: Path) -> None:
    memory, fresh = stepped(TINY, "cuda"), stepped(TINY, "cuda")
    expected = {name: tensor.clone() for name, tensor in memory.state_dict().items()}
    torch.save(memory.state_dict(), tmp_path / "memory.pt")
    fresh.features.zero_()
    fresh.load_state_dict(torch.load(tmp_path / "memory.pt", map_location="cpu"))
    for name in STATE:
        assert torch.equal(fresh.state_dict()[name], expected[name]), name
