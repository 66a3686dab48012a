import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from odc_lightning.clustering import cluster_sums, plan_relabelling
from odc_lightning.clustering.blocks import rows_at
from odc_lightning.memory import STATE, ClusterMemory

N, C, D = 40, 5, 3


def filled(seed: int = 0, **options: object) -> ClusterMemory:
    memory = ClusterMemory(N, C, D, **options)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    memory.features.copy_(normalize(torch.randn(N, D, generator=generator), dim=1))
    memory.initialize(torch.arange(N) % C)
    return memory


def assert_consistent(memory: ClusterMemory) -> None:
    """Counts and sums are what a loop over the samples finds, without any rounding error."""
    labels = memory.labels.tolist()
    for cluster in range(memory.num_clusters):
        members = [n for n, label in enumerate(labels) if label == cluster]
        assert int(memory.counts[cluster]) == len(members)
        each = [[round(x * 2**32) for x in memory.features[n].tolist()] for n in members]
        sums = [sum(column) for column in zip(*each, strict=True)] or [0] * D
        assert memory.sums[cluster].tolist() == sums


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("write"),
            st.lists(st.integers(0, N - 1), min_size=1, max_size=12),
            st.integers(0, 2**32),
        ),
        st.tuples(st.just("split"), st.integers(0, 7), st.integers(0, 2**32)),
        st.tuples(st.just("refresh"), st.sampled_from(["involved", "all"]), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(
    operations=OPERATIONS,
    assignment=st.sampled_from(["l2", "dot", "cosine"]),
    renormalize=st.booleans(),
)
def test_counts_sums_and_labels_agree_after_any_sequence(
    operations: list[tuple], assignment: str, renormalize: bool
) -> None:
    memory = filled(assignment=assignment, renormalize=renormalize)
    for kind, what, seed in operations:
        if kind == "write":
            generator = torch.Generator().manual_seed(seed)
            indices = torch.tensor(what)
            new = torch.randn(len(indices), D, generator=generator)
            before = memory.labels.clone()
            ratio = memory.write(indices, *memory.propose(indices, new))
            distinct = indices.unique()
            changed = (before != memory.labels)[distinct].float().mean()
            assert float(ratio) == pytest.approx(float(changed))
        elif kind == "split":
            plan = plan_relabelling(
                memory.features,
                memory.labels,
                memory.counts,
                memory.centroids,
                threshold=what,
                rng=np.random.default_rng(seed),
            )
            memory.relabel(plan.indices, plan.labels)
            memory.set_centroids(memory.refreshed_centroids(plan.clusters))
            assert int(memory.counts.min()) > what
        else:
            memory.set_centroids(memory.refreshed_centroids(what))
            memory.involved.zero_()
        assert_consistent(memory)
        assert int(memory.counts.sum()) == N


def test_momentum_by_hand() -> None:
    memory = ClusterMemory(2, 2, 2, momentum=0.25)
    memory.features.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    memory.initialize(torch.tensor([0, 1]))
    features, labels = memory.propose(torch.tensor([0]), torch.tensor([[0.0, 10.0]]))
    # 0.25 * (0, 1) + 0.75 * (1, 0), still nearest to the first centroid
    torch.testing.assert_close(features, torch.tensor([[0.75, 0.25]]))
    assert labels.tolist() == [0]
    features, labels = memory.propose(torch.tensor([0]), torch.tensor([[-10.0, 0.0]]))
    torch.testing.assert_close(features, torch.tensor([[0.5, 0.0]]))


def test_several_views_count_as_their_mean_direction() -> None:
    memory = ClusterMemory(2, 2, 2, momentum=1.0)
    memory.features.copy_(torch.eye(2))
    memory.initialize(torch.tensor([0, 1]))
    views = torch.tensor([[5.0, 0.0], [0.0, 0.1], [0.0, 3.0], [0.0, 1.0]])  # two of each sample
    features, labels = memory.propose(torch.tensor([0, 1]), views)
    torch.testing.assert_close(features, torch.tensor([[0.5**0.5, 0.5**0.5], [0.0, 1.0]]))
    assert labels[1] == 1


def test_soft_targets_by_hand() -> None:
    memory = ClusterMemory(2, 2, 2, momentum=0.5, assignment="dot")
    memory.features.copy_(torch.eye(2))
    memory.initialize(torch.tensor([0, 1]))
    # Views (1, 0) and (0, 1) of the second sample: their direction, half of it and half of (0, 1).
    views = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    scores = torch.tensor([0.5**0.5 / 2, 0.5**0.5 / 2 + 0.5])
    found = memory.soft_targets(torch.tensor([1]), views, temperature=0.5)
    torch.testing.assert_close(found, torch.softmax(2 * scores, dim=0).repeat(2, 1))
    memory.offsets.copy_(torch.tensor([0.5, 0.0]))
    found = memory.soft_targets(torch.tensor([1]), views, temperature=0.5)
    torch.testing.assert_close(found, torch.full((2, 2), 0.5))


def test_soft_targets_become_labels_as_the_temperature_falls() -> None:
    memory = filled(assignment="cosine")
    torch.manual_seed(0)  # of features that are not equally near to two centroids
    indices, features = torch.arange(N), torch.randn(2 * N, D)
    _, labels = memory.propose(indices, features)
    targets = memory.soft_targets(indices, features, temperature=1e-4)
    torch.testing.assert_close(targets[0::2], torch.eye(C)[labels], atol=0.2, rtol=0)
    assert torch.equal(targets[0::2], targets[1::2])


def test_offsets_decide_labels() -> None:
    memory = filled(assignment="cosine")
    indices, features = torch.arange(N), torch.randn(N, D)
    memory.offsets[3] = 5.0
    assert memory.propose(indices, features)[1].tolist() == [3] * N


def test_rows_are_fetched_once_a_step_and_anew_after_a_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def counted(features: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        calls.append(len(indices))
        return rows_at(features, indices)

    monkeypatch.setattr("odc_lightning.memory.rows_at", counted)
    memory, twin = filled(), filled()
    batches = [torch.arange(10), torch.arange(5, 15)]
    for indices in (*batches, batches[1]):  # the same tensor again, after its rows were written
        features = torch.randn(10, D)
        memory.soft_targets(indices, features, temperature=0.1)
        memory.write(indices, *memory.propose(indices, features))
        twin.write(indices, *twin.propose(indices.clone(), features))
    assert len(calls) == 3 + 3 * 2
    for same in (memory, twin):
        same.features.mul_(2)
    expected = twin.propose(batches[1].clone(), features)[0]
    assert torch.equal(memory.propose(batches[1], features)[0], expected)
    for name, tensor in twin.state_dict().items():
        assert torch.equal(tensor, memory.state_dict()[name])


def test_features_elsewhere_are_written_late_and_read_as_written() -> None:
    """What a GPU does with features in RAM: fetched ahead of a step, written when next read."""
    elsewhere, twin = filled(), filled()
    elsewhere.features_elsewhere = True
    torch.manual_seed(0)
    for step in range(60):
        on_host = torch.randint(N, (10,))  # with duplicates
        indices, features = on_host.clone(), torch.randn(10, D)
        if step % 3:
            elsewhere.prefetch(indices, on_host)
        new, labels = elsewhere.propose(indices, features)
        assert torch.equal(new, twin.propose(indices, features)[0])
        old = elsewhere.rows(indices) if step % 2 else None
        before = elsewhere.features.clone()
        elsewhere.write(indices, new, labels, old)
        twin.write(indices, new, labels)
        assert torch.equal(elsewhere._features, before)
        if step % 5 == 0:
            assert_consistent(elsewhere)
        if step % 7 == 0:
            elsewhere.relabel(torch.tensor([step % N]), torch.tensor([step % C]))
            twin.relabel(torch.tensor([step % N]), torch.tensor([step % C]))
    for name, tensor in twin.state_dict().items():
        assert torch.equal(tensor, elsewhere.state_dict()[name]), name


def test_looking_changes_nothing() -> None:
    memory, same = filled(), filled()
    memory.propose(torch.arange(10), torch.randn(10, D))
    memory.soft_targets(torch.arange(10), torch.randn(20, D), temperature=0.1)
    memory.balanced_offsets(0.1, 3, torch.arange(N))
    for name, tensor in memory.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name])


def test_l2_and_dot_differ_where_a_centroid_is_long() -> None:
    memory = ClusterMemory(2, 2, 1, momentum=1.0)
    memory.features.copy_(torch.tensor([[1.0], [9.0]]))
    memory.initialize(torch.tensor([0, 1]))
    sample = torch.tensor([[5.0]])  # becomes 1 when normalised
    assert memory.propose(torch.tensor([0]), sample)[1].tolist() == [0]
    memory.assignment = "dot"
    assert memory.propose(torch.tensor([0]), sample)[1].tolist() == [1]


def test_a_duplicate_is_written_as_it_occurs_last() -> None:
    memory = filled()
    features = torch.eye(3)
    ratio = memory.write(torch.tensor([7, 8, 7]), features, torch.tensor([0, 3, 1]))
    assert torch.equal(memory.features[7], features[2])
    assert memory.labels[7] == 1
    assert float(ratio) == pytest.approx(0.5)  # 7 was in 2 and moved, 8 was in 3 and stayed
    assert_consistent(memory)


def test_involved_are_those_that_a_member_joined_or_left() -> None:
    memory = filled()
    memory.write(torch.tensor([0, 1]), torch.eye(3)[:2], torch.tensor([2, 1]))  # 0 -> 2, 1 stays
    assert memory.involved.tolist() == [True, False, True, False, False]
    fresh = memory.refreshed_centroids("involved")
    moved = (fresh != memory.centroids).any(dim=1)
    assert moved.tolist() == [True, False, True, False, False]
    assert (memory.refreshed_centroids("all") != memory.centroids).any(dim=1)[1]


def test_an_empty_cluster_keeps_its_centroid() -> None:
    memory = filled()
    members = (memory.labels == 0).nonzero().flatten()
    memory.relabel(members, torch.ones_like(members))
    assert int(memory.counts[0]) == 0
    assert torch.equal(memory.refreshed_centroids("all")[0], memory.centroids[0])


def test_sums_stay_exact_over_a_hundred_thousand_updates() -> None:
    memory = ClusterMemory(200, 4, 8)
    memory.features.copy_(normalize(torch.randn(200, 8), dim=1))
    memory.initialize(torch.arange(200) % 4)
    for _ in range(2000):
        indices = torch.randint(200, (50,))
        memory.write(indices, *memory.propose(indices, torch.randn(50, 8)))
    assert torch.equal(memory.sums, cluster_sums(memory.features, memory.labels, 4))


def test_the_order_within_a_step_does_not_matter() -> None:
    """A GPU adds the rows of a step in any order, and yet the ranks must agree."""
    one, other = filled(), filled()
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        indices = torch.randperm(N, generator=generator)[:20]
        features, labels = one.propose(indices, torch.randn(20, D, generator=generator))
        order = torch.randperm(20, generator=generator)
        one.write(indices, features, labels)
        other.write(indices[order], features[order], labels[order])
        for memory in (one, other):
            memory.set_centroids(memory.refreshed_centroids())
    assert all(torch.equal(one.state_dict()[name], other.state_dict()[name]) for name in STATE)


def test_a_checkpoint_with_sums_in_double_precision_loads() -> None:
    memory = filled()
    state = memory.state_dict()
    older = {**state, "sums": torch.zeros(C, D, dtype=torch.float64)}
    for n, label in enumerate(memory.labels):
        older["sums"][label] += memory.features[n]
    loaded = ClusterMemory(N, C, D)
    loaded.load_state_dict(older)
    assert all(torch.equal(loaded.state_dict()[name], state[name]) for name in STATE)


def test_what_a_refresh_says_is_how_far_centroids_move() -> None:
    memory = filled()
    members = (memory.labels == 2).nonzero().flatten()
    memory.relabel(members, torch.zeros_like(members))
    before, after = memory.centroids.clone(), torch.randn(C, D)
    others = [c for c in range(C) if c != 2]
    expected = sum(math.dist(before[c].tolist(), after[c].tolist()) for c in others) / len(others)
    assert float(memory.set_centroids(after)) == pytest.approx(expected)
    assert torch.equal(memory.centroids, after)


def test_distances_are_to_the_own_centroid() -> None:
    memory = filled()
    for n in range(N):
        expected = (memory.features[n] - memory.centroids[memory.labels[n]]).norm()
        assert float(memory.distances()[n]) == pytest.approx(float(expected), abs=1e-6)


def test_state_goes_round() -> None:
    memory, other = filled(), filled(seed=1)
    memory.write(torch.tensor([3]), torch.eye(3)[:1], torch.tensor([0]))
    other.load_state_dict(memory.state_dict())
    for name, tensor in memory.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name])


def test_a_state_of_another_shape_is_refused_and_nothing_is_taken_over() -> None:
    memory = filled()
    before = {name: tensor.clone() for name, tensor in memory.state_dict().items()}
    state = {**ClusterMemory(N, C, D).state_dict(), "involved": torch.zeros(C + 1)}
    with pytest.raises(ValueError, match=r"'involved' is \(6,\), expected \(5,\)"):
        memory.load_state_dict(state)
    with pytest.raises(ValueError, match="'features' is missing"):
        memory.load_state_dict({})
    assert all(torch.equal(tensor, before[k]) for k, tensor in memory.state_dict().items())


@pytest.mark.parametrize("momentum", [0.0, -1.0, 1.5])
def test_momentum_out_of_range(momentum: float) -> None:
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        ClusterMemory(N, C, D, momentum=momentum)


@pytest.mark.parametrize("clusters", [0, 1, N + 1])
def test_impossible_numbers_of_clusters(clusters: int) -> None:
    with pytest.raises(ValueError, match="2 <= clusters <= samples"):
        ClusterMemory(N, clusters, D)


def test_bad_labels_to_start_from() -> None:
    memory = ClusterMemory(N, C, D)
    with pytest.raises(ValueError, match="1 of 5 clusters are empty"):
        memory.initialize(torch.arange(N) % (C - 1))
    with pytest.raises(ValueError, match=r"labels must be in 0 \.\. 4"):
        memory.initialize(torch.arange(N) % (C + 1))
