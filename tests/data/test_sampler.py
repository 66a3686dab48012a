"""The order is a function of seed and epoch; ranks share out what one process would take."""

from itertools import cycle, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odc_lightning.data import EpochSampler
from odc_lightning.data.sampler import occurrences, uniform_order


def batches(sampler: EpochSampler, batch_size: int) -> list[list[int]]:
    """What a data loader would make of the sampler's keys."""
    indices = [index for _, index, _ in sampler]
    cut = [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]
    return [batch for batch in cut if len(batch) == batch_size or not sampler.drop_last]


@given(
    num_samples=st.integers(1, 200),
    per_rank=st.integers(1, 8),
    world_size=st.integers(1, 5),
    epoch=st.integers(0, 1000),
    drop_last=st.booleans(),
    replacement=st.booleans(),
)
def test_union_over_ranks_is_the_global_batch(
    num_samples: int,
    per_rank: int,
    world_size: int,
    epoch: int,
    drop_last: bool,
    replacement: bool,
) -> None:
    def of_rank(rank: int, world: int) -> EpochSampler:
        sampler = EpochSampler(
            num_samples, 7, rank, world, replacement=replacement, drop_last=drop_last
        )
        sampler.set_epoch(epoch)
        return sampler

    ranks = [of_rank(rank, world_size) for rank in range(world_size)]
    assert len({len(list(rank)) for rank in ranks}) == 1
    assert all(len(rank) == len(list(rank)) for rank in ranks)
    shared = [batches(rank, per_rank) for rank in ranks]
    alone = batches(of_rank(0, 1), per_rank * world_size)
    order = [index for _, index, _ in of_rank(0, 1)]
    assert len(shared[0]) == len(alone)
    for g, whole in enumerate(alone):
        union = [index for batch_list in shared for index in batch_list[g]]
        padding = len(union) - len(whole)  # only where an incomplete last batch is kept
        assert 0 <= padding < world_size
        assert padding == 0 or (not drop_last and g == len(alone) - 1)
        assert sorted(union) == sorted([*whole, *islice(cycle(order), padding)])


def test_each_epoch_is_another_permutation() -> None:
    sampler = EpochSampler(50, seed=1)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert {key[0] for key in keys} == {epoch}
        orders.append([index for _, index, _ in keys])
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    again = EpochSampler(50, seed=1)
    again.set_epoch(2)
    assert [index for _, index, _ in again] == orders[2]
    assert [index for _, index, _ in EpochSampler(50, seed=2)] != orders[0]


def test_replacement_draws_as_many_with_repeats() -> None:
    indices = [index for _, index, _ in EpochSampler(1000, seed=0, replacement=True)]
    assert len(indices) == 1000
    assert 580 < len(set(indices)) < 690  # 1 - 1/e of them, about 632
    assert max(np.bincount(indices)) > 2


def test_keys_are_plain_integers() -> None:
    assert all(type(number) is int for key in EpochSampler(3, seed=0) for number in key)


def test_start_at_concerns_one_epoch() -> None:
    sampler = EpochSampler(10, seed=0)
    sampler.set_epoch(4)
    whole = list(sampler)
    sampler.start_at(4, 6)
    assert list(sampler) == whole[6:]
    assert len(sampler) == 10
    sampler.set_epoch(5)
    assert len(list(sampler)) == 10


@pytest.mark.parametrize("rank", [-1, 2])
def test_impossible_rank(rank: int) -> None:
    with pytest.raises(ValueError, match=f"rank={rank}"):
        EpochSampler(10, seed=0, rank=rank, world_size=2)


def test_uniform_sampling_by_hand() -> None:
    """Eight samples in three clusters: three draws of each, of which eight are kept."""
    labels = np.array([4, 4, 4, 4, 4, 0, 7, 7])  # numbers in between are empty clusters
    for epoch in range(20):
        order = uniform_order(labels, seed=3, epoch=epoch)
        drawn = np.bincount(labels[order], minlength=8)
        assert sorted(drawn[[0, 4, 7]]) == [2, 3, 3]
        assert drawn.sum() == 8
        of_large = order[labels[order] == 4]  # has more than three: each at most once
        assert len(set(of_large)) == len(of_large)
        assert set(order[labels[order] == 0]) == {5}


@given(
    labels=st.lists(st.integers(0, 9), min_size=1, max_size=300),
    epoch=st.integers(0, 5),
)
def test_all_clusters_occur_equally_often(labels: list[int], epoch: int) -> None:
    given_labels = np.array(labels)
    order = uniform_order(given_labels, seed=1, epoch=epoch)
    assert len(order) == len(labels)
    clusters = np.unique(given_labels)
    share = len(labels) // len(clusters) + 1
    drawn = np.bincount(given_labels[order], minlength=10)[clusters]
    assert drawn.max() <= share
    assert share * len(clusters) - drawn.sum() == share * len(clusters) - len(labels)
    again = uniform_order(given_labels, seed=1, epoch=epoch)
    np.testing.assert_array_equal(order, again)


def test_every_sample_has_the_same_chance_within_its_cluster() -> None:
    labels = np.repeat([0, 1], [400, 20])
    counts = np.zeros(420)
    for epoch in range(300):
        counts += np.bincount(uniform_order(labels, 0, epoch), minlength=420)
    # 210 draws of each cluster an epoch (211, of which one in all is cut).
    np.testing.assert_allclose(counts[:400].mean(), 300 * 210 / 400, rtol=0.01)
    np.testing.assert_allclose(counts[400:], 300 * 210 / 20, rtol=0.1)
    assert counts[:400].min() > 100


@given(order=st.lists(st.integers(0, 20), max_size=100))
def test_occurrences_are_counted_one_by_one(order: list[int]) -> None:
    expected = [order[:i].count(index) for i, index in enumerate(order)]
    assert occurrences(np.array(order, dtype=np.int64)).tolist() == expected


@given(world_size=st.integers(1, 4), labels=st.lists(st.integers(0, 3), min_size=8, max_size=60))
def test_ranks_share_out_a_uniform_epoch(world_size: int, labels: list[int]) -> None:
    def of_rank(rank: int, world: int) -> list[tuple[int, int, int]]:
        sampler = EpochSampler(len(labels), 7, rank, world, drop_last=True)
        sampler.labels = np.array(labels)
        sampler.set_epoch(2)
        return list(sampler)

    alone = of_rank(0, 1)
    shared = [of_rank(rank, world_size) for rank in range(world_size)]
    interleaved = [key for keys in zip(*shared, strict=True) for key in keys]
    assert interleaved == alone[: len(interleaved)]
    assert len(alone) - len(interleaved) < world_size
    assert len(set(alone)) == len(alone)  # the copy tells repeats apart


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("replacement", [False, True])
def test_held_back_images_never_occur(labelled: bool, replacement: bool) -> None:
    held_back = np.array([0, 3, 4, 19])
    seen: set[int] = set()
    for epoch in range(5):
        keys: list[tuple[int, int, int]] = []
        for rank in range(2):
            sampler = EpochSampler(20, 1, rank, 2, replacement, held_back=held_back)
            sampler.labels = np.arange(20) // 5 if labelled else None
            sampler.set_epoch(epoch)
            assert len(list(sampler)) == len(sampler) == 8
            keys += sampler
        seen |= {index for _, index, _ in keys}
        if not labelled and not replacement:
            assert len({index for _, index, _ in keys}) == 16
    assert seen == set(range(20)) - set(held_back.tolist())


def test_without_held_back_images_the_order_is_as_ever() -> None:
    none = EpochSampler(30, seed=2, held_back=np.array([], dtype=np.int64))
    assert list(none) == list(EpochSampler(30, seed=2))
