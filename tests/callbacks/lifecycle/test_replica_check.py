"""Digests of memories, and ranks that disagree."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers.ddp_probe import diverging, run_ranks, short_soak
from odc_lightning.callbacks import ReplicaCheck
from odc_lightning.callbacks.lifecycle.memory_digest import ROWS, digest, memory_digests
from odc_lightning.memory import ClusterMemory


def slow_digest(tensor: torch.Tensor) -> int:
    """The same in Python's own integers."""
    flat = tensor.contiguous().flatten()
    words = flat.view(torch.int32 if flat.element_size() >= 4 else torch.uint8).tolist()
    total = sum(word * ((place * 2654435761) | 1) for place, word in enumerate(words))
    wrapped = total % 2**64
    return wrapped - 2**64 if wrapped >= 2**63 else wrapped


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(50, 3),
        torch.randn(7, dtype=torch.float64),
        torch.arange(-5, 100),
        torch.rand(9) > 0.5,
        torch.randn(8).bfloat16(),
    ],
    ids=lambda tensor: str(tensor.dtype),
)
def test_the_digest_is_what_it_says(tensor: torch.Tensor) -> None:
    assert int(digest(tensor)) == slow_digest(tensor)


@given(st.integers(0, 199), st.integers(0, 31), st.integers(0, 1000))
def test_any_single_bit_shows(place: int, bit: int, seed: int) -> None:
    numbers = torch.randn(200, generator=torch.Generator().manual_seed(seed))
    other = numbers.clone()
    other.view(torch.int32)[place] ^= 1 << bit if bit < 31 else -(2**31)
    assert int(digest(numbers)) != int(digest(other))


def test_two_that_change_places_show() -> None:
    numbers = torch.tensor([1.0, 2.0, 3.0])
    assert int(digest(numbers)) != int(digest(numbers[[1, 0, 2]]))


def test_all_features_have_their_turn() -> None:
    memory = ClusterMemory(2 * ROWS + 5, 4, 2)
    other = ClusterMemory(2 * ROWS + 5, 4, 2)
    for row in (0, ROWS, 2 * ROWS + 4):
        other.features.zero_()
        other.features[row] = 1
        different = [
            int(memory_digests(memory, turn)["features"])
            != int(memory_digests(other, turn)["features"])
            for turn in range(3)
        ]
        assert sum(different) == 1
    other.centroids[3, 1] = 1e-30
    found, expected = memory_digests(other, 0), memory_digests(memory, 0)
    assert [name for name in found if int(found[name]) != int(expected[name])] == ["centroids"]


@pytest.mark.ddp
def test_ranks_that_disagree_stop_and_say_since_when(tmp_path: Path) -> None:
    for rank, state in enumerate(run_ranks(diverging, 3, tmp_path)):
        message = state["refusal"]
        assert "ranks 0 and 2 differ in labels, counts at step 20" in message, rank
        assert "they agreed at step 10" in message


@pytest.mark.ddp
def test_ranks_agree_whatever_the_order_in_which_they_add(tmp_path: Path) -> None:
    zero, one = run_ranks(short_soak, 2, tmp_path)
    assert zero["splits"] > 10
    for name, value in zero["memory"].items():
        assert torch.equal(value, one["memory"][name]), name


def test_how_often_is_checked() -> None:
    with pytest.raises(ValueError, match=r"replica_check\.every_n_steps=0; expected 1 or more"):
        ReplicaCheck(every_n_steps=0)
