"""Every section gives its tables and targets at tiny sizes; no figure is looked at, but those that
are no times."""

from collections.abc import Iterator

import pytest
import torch
from benchmarks.tables import NO_GPU, Table, Target

from benchmarks import axes, extraction_memory, kmeans, memory, peak, ranks, terms

faiss = pytest.importorskip("faiss")

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU gives more tables")


@pytest.fixture(autouse=True)
def _as_many_threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    yield
    torch.set_num_threads(before[0])
    faiss.omp_set_num_threads(before[1])


def split(items: Iterator[Table | Target]) -> tuple[dict[str, Table], list[Target]]:
    """Tables by their titles, and targets; a row has as many cells as there are heads."""
    tables: dict[str, Table] = {}
    targets: list[Target] = []
    for item in items:
        if isinstance(item, Table):
            tables[item.title] = item
            assert {len(row) for row in item.rows} == {len(item.columns)}
        else:
            targets.append(item)
    return tables, targets


@needs_no_gpu
def test_memory() -> None:
    tables, targets = split(memory.measure(quick=True))
    parts = tables["Parts of the memory's step, CPU"]
    assert [row[0] for row in parts.rows] == [
        *("sample update", "loss re-weighting", "small-cluster check", "centroid refresh"),
        *("step, refresh every 10", "centroid refresh, by sorting", "5 small clusters"),
    ]
    for _, mine, floor, by_floor, theirs, ratio in parts.rows:
        assert isinstance(mine, float)
        assert isinstance(theirs, float)
        assert ratio == pytest.approx(theirs / mine)
        assert floor is None or by_floor == pytest.approx(mine / float(floor))
    values = {"batch": [8, 16], "clusters": [20, 100], "dim": [4, 8], "samples": [500, 2000, 4000]}
    for axis, expected in values.items():
        assert [row[0] for row in tables[axes.axis_title(axis, "CPU")].rows] == expected
    (known,) = (title for title in tables if title.startswith(terms.TITLE))
    assert len(tables[known].rows) == 6
    assert tables["Parts of the memory's step, GPU"].rows[0][:2] == ("sample update", NO_GPU)
    missing = [target.what for target in targets if target.measured is None]
    assert missing == [
        "step / floor at the base point, GPU",
        "step at N = 4,000 / at N = 500, GPU",
    ]
    assert [target.at_most for target in targets if target not in missing][:4] == [1.5, *[0.1] * 3]


def test_what_has_no_room_is_said_and_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axes, "available_ram", lambda: 250_000)
    tables, targets = split(memory.on_device(memory.QUICK, "cpu"))
    *_, last = tables["Step against N, CPU"].rows
    assert last[:2] == (4000, "not measured: needs 0.0 GB")
    (flat,) = (target for target in targets if target.what.startswith("step at N"))
    assert (flat.measured, flat.verdict) == (None, "not measured: needs 0.0 GB")


@needs_no_gpu
def test_kmeans() -> None:
    tables, targets = split(kmeans.measure(quick=True))
    inertia = {row[0]: row[-1] for row in tables[f"K-Means, {kmeans.QUICK[0]}"].rows}
    assert inertia["faiss once more"] == 1
    for name in ("ours (auto)", "ours by torch", "scikit-learn"):
        assert inertia[name] == pytest.approx(1, abs=0.3), name
    assert inertia["ours by torch, GPU"] is None
    assert [target.at_most for target in targets] == [1.0, 1.01]


def test_all_kmeans_are_those_of_their_iterations() -> None:
    """One iteration from random samples by hand, and the assignment after it."""
    size = kmeans.Size(300, 5, 4, 1)
    features = kmeans.clustered(size)
    first = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:5]
    labels = torch.cdist(features, features[first]).argmin(dim=1)
    means = torch.stack([features[labels == cluster].mean(dim=0) for cluster in range(5)])
    inertia = float(torch.cdist(features, means).min(dim=1).values.square().sum())
    assert kmeans.ours("torch")(features, size) == pytest.approx(inertia, rel=1e-4)
    longer = size._replace(iterations=30)
    for run in (kmeans.plain_faiss, kmeans.scikit_learn, kmeans.ours("auto")):
        assert run(features, longer) < run(features, size)


def test_ranks() -> None:
    tables, _ = split(ranks.measure(quick=True))
    table = tables[axes.axis_title("ranks", "CPU")]
    assert [row[0] for row in table.rows] == [1, 2, "on GPUs, by NCCL"]
    assert (table.rows[0][2], table.rows[0][-1]) == (1, 1)
    ((name, seconds),) = tables[f"{terms.TITLE}, CPU"].rows
    assert name == terms.RANKS
    assert isinstance(seconds, float)
    assert seconds > 0


@needs_no_gpu
def test_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, targets = split(peak.measure(quick=True))
    rows = tables["Peak memory beside the features"].rows
    assert {row[1] for row in rows[:-1]} == {4 * 4000 * 16 / 1e6}
    assert rows[-1][1] == NO_GPU
    assert [row[0] for row in tables["Peak memory of DeepCluster's features"].rows] == ["600"]
    assert [target.at_most for target in targets] == [peak.AT_MOST, peak.AT_MOST]
    monkeypatch.setattr(extraction_memory, "TOLERANCE", -1.0)
    with pytest.raises(RuntimeError, match="disagree"):
        extraction_memory.extraction_table(peak.QUICK_EXTRACTIONS)
