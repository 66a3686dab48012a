"""Whatever is said about images, every labelling keeps it."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from odc_lightning.clustering import (
    Constraints,
    kmeans,
    make_constraints,
    nonempty_kmeans,
    plan_relabelling,
)
from odc_lightning.memory import ClusterMemory

Said = dict[str, Any]


def constraints(
    names: list[int], num_clusters: int, threshold: int = 0, **said: Any
) -> Constraints:
    refused, groups = np.full(len(names), -1), np.full(len(names), -1)
    for column, values in ((refused, said.get("refused")), (groups, said.get("groups"))):
        for row, value in dict(values or {}).items():
            column[row] = value
    apart = np.array(said.get("apart", []), np.int64).reshape(-1, 2)
    num_names = max(names) + 1
    return make_constraints(
        np.array(names), refused, groups, apart, num_names, num_clusters, threshold
    )


@st.composite
def said(draw: st.DrawFn) -> tuple[int, int, list[int], Said]:
    """C, the threshold, the names of N images, and what else is said."""
    num_names, threshold = draw(st.integers(0, 3)), draw(st.integers(0, 2))
    num_clusters = num_names + draw(st.integers(2, 4))
    unnamed = (num_clusters - num_names) * (threshold + 1) + draw(st.integers(0, 15))
    names = [*range(num_names)] * draw(st.integers(1, 3)) + [-1] * unnamed
    names = draw(st.permutations(names))
    rows = [row for row, name in enumerate(names) if name < 0]
    members = draw(st.lists(st.sampled_from(rows), unique=True, max_size=6))
    everyone = st.integers(0, len(names) - 1)
    pairs = draw(st.lists(st.tuples(everyone, everyone), max_size=4))
    groups = {row: number // 2 for number, row in enumerate(members[: len(members) // 2 * 2])}
    return (
        num_clusters,
        threshold,
        names,
        {
            "refused": dict.fromkeys(
                draw(st.lists(st.sampled_from(rows), max_size=3 if num_names else 0)), 0
            ),
            "groups": groups,
            "apart": [
                (one, other)
                for one, other in pairs
                if one != other
                and (names[one] < 0 or names[one] != names[other])
                and (groups.get(one, -1) < 0 or groups[one] != groups.get(other, -1))
            ],
        },
    )


def check_kept(labels: torch.Tensor, names: list[int], more: Said) -> None:
    for row, name in enumerate(names):
        assert name < 0 or labels[row] == name
    assert all(labels[row] != name for row, name in more["refused"].items())
    for group in set(more["groups"].values()):
        rows = [row for row, number in more["groups"].items() if number == group]
        assert len(set(labels[rows].tolist())) == 1
    assert all(labels[one] != labels[other] for one, other in more["apart"])


@settings(max_examples=150, deadline=None)
@given(case=said(), seed=st.integers(0, 99))
def test_first_clusters_steps_and_repairs_keep_what_is_said(
    case: tuple[int, int, list[int], Said], seed: int
) -> None:
    num_clusters, threshold, names, more = case
    try:
        limits = constraints(names, num_clusters, threshold, **more)
    except ValueError as error:
        assume(not re.search("apart from|too few", str(error)))
        raise
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    # Few distinct positions: many images coincide.
    features = torch.randint(0, 3, (len(names), 2), generator=generator).float()
    labels = nonempty_kmeans(features, num_clusters, 3, seed, "auto", lambda: None, None, limits)
    check_kept(labels, names, more)
    memory = ClusterMemory(len(names), num_clusters, 2, features=features)
    memory.constraints = limits
    memory.initialize(labels)  # no cluster is empty
    for _ in range(3):
        batch = torch.from_numpy(rng.integers(0, len(names), 8))
        memory.write(batch, *memory.propose(batch, torch.randn(8, 2, generator=generator)))
        memory.relabel(*memory.unit_labels())
        check_kept(memory.labels, names, more)
        plan = plan_relabelling(
            memory.features,
            memory.labels,
            memory.counts,
            memory.centroids,
            threshold=threshold,
            rng=rng,
            constraints=limits,
        )
        memory.relabel(plan.indices, plan.labels)
        check_kept(memory.labels, names, more)
        assert memory.counts[limits.num_names :].min() > threshold
        assert torch.equal(memory.counts, memory.labels.bincount(minlength=num_clusters))


def test_names_pull_their_images_and_the_others_follow() -> None:
    """Two groups, of which K-Means finds the wrong two: names say what divides them."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 2, generator=generator) * torch.tensor([1.0, 10.0])
    truth = (torch.arange(200) % 2).long()
    features[:, 0] += 8 * truth
    names = [int(truth[row]) if row < 10 else -1 for row in range(200)]
    limits = constraints(names, 3)
    guided = nonempty_kmeans(features, 3, 10, 0, "auto", lambda: None, None, limits)
    plain = kmeans(features, 3, iterations=10).labels
    named = guided < 2

    def agreement(labels: torch.Tensor) -> float:
        return max(float((labels[named] == truth[named]).float().mean()), 0.0)

    assert agreement(guided) > agreement(plain)


def test_a_large_cluster_of_a_name_gives_its_unnamed_half() -> None:
    names = [0, 0] + [-1] * 18
    features = torch.tensor([0.0] * 10 + [10.0] * 10)[:, None]
    labels = torch.tensor([0] * 20)
    plan = plan_relabelling(
        features,
        labels,
        labels.bincount(minlength=2),
        torch.tensor([[5.0], [0.0]]),
        threshold=2,
        rng=np.random.default_rng(0),
        constraints=constraints(names, 2, 2),
    )
    assert plan.num_splits == 1
    assert set(plan.indices.tolist()) in ({*range(2, 10)}, {*range(10, 20)})


def test_the_target_of_a_named_image_is_its_cluster() -> None:
    memory = ClusterMemory(6, 3, 2)
    memory.constraints = constraints([0, 1, -1, -1, -1, -1], 3, refused={2: 0})
    memory.centroids.copy_(torch.randn(3, 2))
    targets = memory.soft_targets(torch.arange(4), torch.randn(8, 2), 0.5)
    assert targets[:4].tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert (targets[4:6, 0] == 0).all()
    assert (targets[6:] > 0).all()
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(8))


@pytest.mark.parametrize(
    ("names", "num_clusters", "more", "message"),
    [
        ([0, 1, -1, -1], 2, {}, "the labels have 2 names, each with a cluster of its own; expec"),
        (
            [0, 1, -1, -1],
            5,
            {},
            "about 2 of 4 images. The others are too few for the 3",
        ),
        (
            [0] + [-1] * 5,
            3,
            {"apart": [(1, 0), (1, 2), (1, 3)]},
            "apart from 2 others without a name, and has 2 clusters to be in",
        ),
    ],
)
def test_no_room(names: list[int], num_clusters: int, more: Said, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        constraints(names, num_clusters, **more)
