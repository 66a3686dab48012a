"""What is timed does the same in both versions, and is refused where it does not; times are nowhere
looked at."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from benchmarks import cases, memory, versions

# These change nothing; the refresh by sorting comes when the centroids are as they should be.
IDLE = [cases.WEIGHTS, cases.CHECK, cases.BY_SORTING]


@pytest.fixture(autouse=True)
def _as_many_threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def two_versions() -> tuple[versions.Ours, versions.Obvious]:
    ours = versions.Ours(versions.new_memory(2000, 20, 8), batch=16)
    return ours, versions.Obvious.beside(ours)


def all_cases(ours: versions.Ours, obvious: versions.Obvious) -> list[cases.Case]:
    floor = versions.Obvious.beside(ours)
    return [*cases.step_cases(ours, obvious, floor), *cases.rare_cases(ours, obvious)]


def test_both_versions_do_the_same_and_do_something() -> None:
    ours, obvious = two_versions()
    for case in all_cases(ours, obvious):
        ours.draw(0)
        before = [tensor.clone() for tensor in ours.state()]
        cases.check(case, ours, obvious)
        unchanged = all(map(torch.equal, before, ours.state()))
        assert unchanged == (case.name in IDLE), case.name


def test_the_floor_changes_nothing_and_is_the_product() -> None:
    ours, obvious = two_versions()
    before = [tensor.clone() for tensor in (ours.features, *ours.state())]
    ours.product_and_rows()
    assert all(map(torch.equal, before, (ours.features, *ours.state())))
    indices, features = ours.batch
    assert len(indices.unique()) == 16
    torch.testing.assert_close(ours.product(), features @ obvious.centroids.T)


def test_the_small_clusters_are_small_and_are_dealt_with() -> None:
    ours, obvious = two_versions()
    *_, case = all_cases(ours, obvious)
    assert case.name == "5 small clusters"
    case.prepare(0)
    assert [int((version.sizes() <= 20).sum()) for version in (ours, obvious)] == [5, 5]
    cases.check(case, ours, obvious)
    assert not ours.any_small()
    assert not obvious.any_small()


@pytest.mark.parametrize("part", ["sizes", "update", "refresh", "deal_with_small"])
def test_refuses_to_time_versions_that_differ(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    def wrong(version: versions.Version) -> Tensor:
        return version.labels[: len(version.centroids)]

    monkeypatch.setattr(versions.Obvious, part, wrong)
    with pytest.raises(AssertionError, match="ours and the obvious one differ"):
        list(memory.measure(quick=True))
