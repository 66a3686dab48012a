"""The benchmark runs and refuses wrong code; times are nowhere looked at."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks import memory_step, versions

OPTIONS = "--samples 2000 --clusters 20 --dim 8 --batch 16 --repeats 2 --flat-samples 500 1000"
PARTS = ["sample update", "loss re-weighting", "small-cluster check", "centroid refresh"]
ITERATION = "iteration, refresh every 10"
# These change nothing; the refresh by sorting comes when the centroids are as they should be.
IDLE = ["loss re-weighting", "small-cluster check", "centroid refresh, by sorting"]


@pytest.fixture(autouse=True)
def _as_many_threads_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def two_versions() -> tuple[versions.Ours, versions.Obvious]:
    ours = versions.Ours(versions.new_memory(2000, 20, 8), batch=16)
    copies = ours.features.clone(), ours.labels.clone(), ours.centroids.clone()
    return ours, versions.Obvious(*copies, batch=16)


def markdown_tables(text: str) -> dict[str, list[list[str]]]:
    """Title to lines of cells."""
    tables: dict[str, list[list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("### "):
            rows = tables.setdefault(line.removeprefix("### "), [])
        elif line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return tables


def test_prints_every_part_and_writes_the_same_figures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "results" / "memory_step.json"
    memory_step.main([*OPTIONS.split(), "--json", str(path)])
    printed = markdown_tables(capsys.readouterr().out)
    assert {title: [row[0] for row in rows[2:]] for title, rows in printed.items()} == {
        "Ours beside the obvious": [
            *PARTS,
            ITERATION,
            "centroid refresh, by sorting",
            "5 small clusters",
        ],
        "Ours beside the bare product": ["sample update"],
        "Ours at N = 500 and N = 1,000": [*PARTS, ITERATION],
        "Ours at N = 500 and N = 2,000": [*PARTS, ITERATION],
    }
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["machine"]["threads"] == 1
    assert report["settings"]["samples"] == 2000
    for table in report["tables"]:
        for row, cells in zip(table["rows"], printed[table["title"]][2:], strict=True):
            assert row["ratio"] == row["against_ms"] / row["step_ms"]
            assert cells == [
                row["name"],
                f"{row['step_ms']:.3f}",
                f"{row['against_ms']:.3f}",
                f"{row['ratio']:.2f}",
            ]


def test_both_versions_do_the_same_and_do_something() -> None:
    ours, obvious = two_versions()
    for case in memory_step.obvious_cases(ours, obvious):
        case.prepare(0)
        before = [tensor.clone() for tensor in ours.state()]
        memory_step.check(case, ours, obvious)
        unchanged = all(map(torch.equal, before, ours.state()))
        assert unchanged == (case.name in IDLE), case.name


def test_the_small_clusters_are_small_and_are_dealt_with() -> None:
    ours, obvious = two_versions()
    *_, case = memory_step.obvious_cases(ours, obvious)
    case.prepare(0)
    assert [int((version.sizes() <= 20).sum()) for version in (ours, obvious)] == [5, 5]
    memory_step.check(case, ours, obvious)
    assert not ours.any_small()
    assert not obvious.any_small()


@pytest.mark.parametrize("part", ["sizes", "update", "refresh", "deal_with_small"])
def test_refuses_to_time_versions_that_differ(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    def wrong(version: versions.Version) -> Tensor:
        return version.labels[: len(version.centroids)]

    monkeypatch.setattr(versions.Obvious, part, wrong)
    with pytest.raises(AssertionError, match="ours and the obvious one differ"):
        memory_step.main(OPTIONS.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--samples 800 --clusters 20", "more than 40 times"),
        ("--samples 2000 --clusters 20 --batch 512", "too few samples"),
        ("--samples 2000 --clusters 3 --batch 16", "at least 4"),
        ("--samples 2000 --clusters 20 --batch 16 --repeats 0", "--threads at least 1"),
    ],
)
def test_says_what_it_cannot_measure(
    capsys: pytest.CaptureFixture[str], options: str, message: str
) -> None:
    with pytest.raises(SystemExit):
        memory_step.main([*options.split(), "--flat-samples", "500"])
    assert message in capsys.readouterr().err
