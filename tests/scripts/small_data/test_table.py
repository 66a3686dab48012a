"""The tables of `make small-data`, from evaluations made by hand."""

from pathlib import Path

import pytest
from scripts.small_data.table import collect, main, score_table, share, share_table

from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.runs.results import write_results


def leave(folder: Path, method: str, seed: int, value: float, *leave_out: str) -> None:
    """An evaluation whose four figures are ``value`` and a little more, amid others."""
    scores = [
        Score("knn", "pooled", "top1", 0.01, "k=10"),
        Score("knn", "pooled", "top1", value, "k=20"),
        Score("low_shot", "pooled", "map", 0.02, "10 shots"),
        Score("low_shot", "pooled", "top1", value + 0.01, "10 shots"),
        Score("low_shot", "pooled", "top1", 0.03, "mean"),
        Score("linear", "conv5", "top1", 0.04),
        Score("linear", "pooled", "top1", value + 0.02),
        Score("clustering", "run", "nmi", 0.05, "312 clusters"),
        Score("clustering", "pooled", "nmi", value + 0.03, "10 clusters"),
        Score("clustering", "pooled", "ami", 0.06, "10 clusters"),
    ]
    (folder / method / str(seed)).mkdir(parents=True)
    scores = [score for score in scores if score.protocol not in leave_out]
    evaluation = Evaluation("x", "x", "convnet", "fashion_mnist", scores)
    write_results(folder / method / str(seed) / "results.json", evaluation)


@pytest.fixture
def evaluations(tmp_path: Path) -> Path:
    folder = tmp_path / "evaluations"
    for method, values in {
        "supervised": (0.8, 0.9),
        "mine": (0.25,),  # of no known method
        "simclr": (0.7, 0.7),
        "untrained": (0.3, 0.5),
    }.items():
        for seed, value in enumerate(values):
            leave(folder, method, seed, value)
    return folder


def test_four_figures_with_spreads_in_a_fixed_order(evaluations: Path) -> None:
    assert score_table(collect(evaluations)).splitlines() == [
        "| method | kNN top-1 (%) | 10-shot top-1 (%) | linear top-1 (%) | NMI of K-Means (%) |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| untrained | 40.0 ± 14.1 | 41.0 ± 14.1 | 42.0 ± 14.1 | 43.0 ± 14.1 |",
        "| SimCLR | 70.0 ± 0.0 | 71.0 ± 0.0 | 72.0 ± 0.0 | 73.0 ± 0.0 |",
        "| supervised | 85.0 ± 7.1 | 86.0 ± 7.1 | 87.0 ± 7.1 | 88.0 ± 7.1 |",
        "| mine | 25.0 | 26.0 | 27.0 | 28.0 |",
    ]


def test_shares_of_the_way_to_supervision(evaluations: Path) -> None:
    assert share_table(collect(evaluations)).splitlines() == [
        "| method | kNN top-1 | 10-shot top-1 | linear top-1 | NMI of K-Means |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| SimCLR | 67 % | 67 % | 67 % | 67 % |",
        "| mine | -33 % | -33 % | -33 % | -33 % |",
    ]
    assert share(0.6, 0.5, 0.5) == "–"
    assert share(0.4999, 0.5, 0.9) == "0 %"


def test_shares_need_both_ends(tmp_path: Path) -> None:
    leave(tmp_path, "untrained", 0, 0.4)
    with pytest.raises(ValueError, match="no evaluation of: supervised"):
        share_table(collect(tmp_path))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no METHOD/SEED/results\.json"):
        collect(tmp_path)
    leave(tmp_path, "dc", 2, 0.4, "low_shot")
    with pytest.raises(ValueError, match=r"dc.2.results\.json has the values \[\] for 10-shot"):
        collect(tmp_path)


def test_the_command_prints_what_there_is(
    evaluations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(evaluations)])
    found = collect(evaluations)
    both = f"{score_table(found)}\n\nOf the way from untrained to supervised:\n\n"
    assert capsys.readouterr().out == f"{both}{share_table(found)}\n"
    leave(tmp_path / "others", "odc_small", 0, 0.4)
    main([str(tmp_path / "others")])
    assert "Of the way" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none")])
    assert "has no METHOD/SEED/results.json" in capsys.readouterr().err
