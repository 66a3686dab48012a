"""Tables, correlations and targets, from results made by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from scripts.adapt.results import best_rate, gains, guard_gains, read_scores, seeds_of
from scripts.adapt.runs import FROZEN, RECIPE, Run
from scripts.adapt.table import Pair, correlation_table, main, pairs, score_table
from scripts.adapt.targets import Answer, answers, in_time, starts_gain

from odc_lightning.metrics.adaptation import NAMES
from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.runs.results import write_results

BASE = {"knn": 0.7, "ten_shot": 0.6, "linear": 0.8, "nmi": 0.5}


def state(gain: float, agree: float, own_ami: float | None = None, **other: float) -> Any:
    """A state whose scores are all ``gain`` above the start, but for ``other`` gains."""
    scores = {name: value + other.get(name, gain) for name, value in BASE.items()}
    guard = {**dict.fromkeys(NAMES, 0.5), "neighbours_agree": agree, "effective_rank": 10.0}
    return {"scores": scores, "guard": guard, "own_ami": own_ami}


def leave(folder: Path, run: Run, states: dict[str, Any], kept_epoch: int | None = None) -> None:
    place = folder / "runs" / run.place
    place.mkdir(parents=True)
    content = {
        "states": states,
        "guard_start": state(0, 0.5)["guard"],
        **{"frozen_ami": 0.4, "num_clusters": 47, "num_images": 542, "num_scored": 491},
        **{"kept_epoch": kept_epoch, "seconds": 100.0},
    }
    (place / "scores.json").write_text(json.dumps(content))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The recipe gains 2, 3 and 4 points in all scores; a rival has two learning rates."""
    leave(tmp_path, Run("food", FROZEN, None, 0), {"start": state(0, 0.5)})
    for seed, gain in enumerate((0.02, 0.03, 0.04)):
        leave(
            tmp_path,
            Run("food", RECIPE, None, seed),
            {"kept": state(gain, 0.6, 0.45), "last": state(-0.01, 0.55, 0.3)},
            kept_epoch=3,
        )
    leave(tmp_path, Run("food", "dc", 0.0003, 0), {"last": state(0.01, 0.52, nmi=0.05)})
    leave(tmp_path, Run("food", "dc", 0.0003, 1), {"last": state(0.03, 0.57, nmi=0.05)})
    leave(tmp_path, Run("food", "dc", 0.003, 0), {"last": state(-0.05, 0.3)})
    return tmp_path


def test_a_table_has_the_start_and_the_changes(study: Path) -> None:
    assert score_table(read_scores(study / "runs"), "food").splitlines() == [
        "|  | learning rate | kNN | 10-shot | linear | NMI of K-Means | AMI of own clusters |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| frozen network |  | 70.0 | 60.0 | 80.0 | 50.0 | 40.0 |",
        "| the recipe | own | +3.0 ± 1.0 | +3.0 ± 1.0 | +3.0 ± 1.0 | +3.0 ± 1.0 | +5.0 ± 0.0 |",
        "| the recipe, last epoch | own | -1.0 ± 0.0 | -1.0 ± 0.0 | -1.0 ± 0.0 | -1.0 ± 0.0 | – |",
        "| DeepCluster | 0.0003 | +2.0 ± 1.4 | +2.0 ± 1.4 | +2.0 ± 1.4 | +5.0 ± 0.0 | – |",
    ]


def test_the_learning_rate_is_that_of_the_best_first_seed(study: Path) -> None:
    found = read_scores(study / "runs")
    assert best_rate(found, "food", "dc") == 0.0003
    assert [run.seed for run in seeds_of(found, "food", "dc")] == [0, 1]
    assert seeds_of(found, "food", "swav") == []
    run = Run("food", RECIPE, None, 0)
    assert gains(found, run)["knn"] == pytest.approx(0.02)  # of the state that it keeps
    assert gains(found, run, "last")["knn"] == pytest.approx(-0.01)
    # Only the agreement differs, of the factors of the criterion.
    assert guard_gains(found, run, "kept")["criterion"] == pytest.approx(0.2)
    assert guard_gains(found, run, "kept")["view_retrieval"] == 0


def test_each_trained_state_counts_once(study: Path) -> None:
    rows = pairs(read_scores(study / "runs"))
    assert len(rows) == 2 * 3 + 3
    leave(
        study,
        Run("letters", FROZEN, None, 0),
        {"start": state(0, 0.5)},
    )
    # A kept state of the start, and one that is also the last, are no states of their own.
    leave(study, Run("letters", RECIPE, None, 0), {"kept": state(0, 0.5), "last": state(0, 0.4)}, 0)
    same = state(0.1, 0.7)
    leave(study, Run("letters", RECIPE, None, 1), {"kept": same, "last": same}, 6)
    assert len(pairs(read_scores(study / "runs"))) == 2 * 3 + 3 + 2


def test_a_run_that_trained_nothing_has_no_last_epoch(study: Path) -> None:
    leave(study, Run("solar", FROZEN, None, 0), {"start": state(0, 0.5)})
    leave(study, Run("solar", RECIPE, None, 0), {"kept": state(0, 0.5, 0.4)}, 0)
    found = read_scores(study / "runs")
    assert not any(row.data == "solar" for row in pairs(found))
    table = score_table(found, "solar")
    assert "| the recipe | own | +0.0 |" in table
    assert "last epoch" not in table


def test_correlations_of_measures_with_gains() -> None:
    def pair(data: str, gain: float, change: float) -> Pair:
        return Pair(data, "dc", gain, {"criterion": change, "view_retrieval": 0.0})

    rows = [pair("food", gain, change) for gain, change in ((1, 0), (2, 5), (3, 9), (4, 8))]
    rows += [pair("solar", 5, 10), pair("solar", 0, 20)]
    head, _, criterion, *others = correlation_table(rows).splitlines()
    assert head == "|  | food (4) | solar (2) | all (6) |"
    # One swap of neighbours: 1 - 6 * 2 / (4 * 15); two pairs are too few; and
    # ranks 2 3 4 5 6 1 against 1 2 4 3 5 6: 1 - 6 * 32 / (6 * 35).
    assert criterion == "| criterion | 0.80 | – | 0.09 |"
    assert "| view retrieval | – | – | – |" in others  # always the same
    assert "| fisher ratio | – | – | – |" in others  # not measured


def test_targets_that_are_reached_and_missed(study: Path) -> None:
    found = read_scores(study / "runs")
    first, second, third, fourth, fifth = answers(found, ["food"], None, None)
    assert first.reached is True
    assert first.reason == "the least gain is food kNN +3.0 ± 1.0"
    assert second.reached is True
    assert second.reason == "4 of 4 scores are above; food AMI +5.0 ± 0.0"
    assert third.reached is True  # all but NMI
    assert fourth.reached is fifth.reached is None
    leave(study, Run("food", "swav", 0.001, 0), {"last": state(0.06, 0.5, knn=0.0, nmi=-0.1)})
    leave(study, Run("solar", FROZEN, None, 0), {"start": state(0, 0.5)})
    for seed, gain in enumerate((0.0, -0.01)):
        states = {"last": state(gain, 0.5, 0.4 - 0.1 * seed, linear=-0.02)}
        leave(study, Run("solar", RECIPE, None, seed), states)
    first, second, third, *_ = answers(read_scores(study / "runs"), ["food", "solar"], None, None)
    assert first == Answer(first.target, False, "solar linear -2.0 ± 0.0")
    assert second.reached is False  # half of the scores, but not the clusters
    assert second.reason.startswith("4 of 8 scores are above")
    assert "solar AMI -5.0 ± 7.1" in second.reason
    assert third == Answer(third.target, False, "food against SwAV: 10-shot -3.0, linear -3.0")


def test_the_starts_of_table_4_and_the_clock(tmp_path: Path) -> None:
    assert in_time(None).reached is None
    starts = ["rotation", "jigsaw", "dc", "simclr"]
    for start in [*(f"{name}_fashion_mnist" for name in starts), "colorization_photos"]:
        for method, value in (("original", 0.8), ("adapt", 0.81)):
            folder = tmp_path / method / start / "0"
            folder.mkdir(parents=True)
            scores = [Score("knn", "pooled", "top1", 0.9), Score("linear", "pooled", "top1", value)]
            evaluation = Evaluation("x", "x", "convnet", "x", scores)
            write_results(folder / "results.json", evaluation)
    answer = starts_gain(tmp_path)
    assert answer.reached is True
    assert answer.reason == "Col. +1.0, Jig. +1.0, Rot. +1.0, DC +1.0, SimCLR +1.0"
    run = tmp_path / "timed"
    (run / "start").mkdir(parents=True)
    for place, seconds in ((run / "start", 59.0), (run, 301.0)):
        summary = {"wall_seconds": seconds, "num_samples": 500}
        (place / "summary.json").write_text(json.dumps(summary))
    answer = in_time(run)
    assert answer.reached is False
    assert answer.reason == "first clusters of 500 images after 59 s, adapted after 301 s"


@pytest.mark.renders
def test_the_command_prints_all_and_draws_the_guard(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(study)])
    shown = capsys.readouterr().out
    assert "**food**: 542 images, of which 491 have scores, in 47 clusters" in shown
    assert "| 1. No score below the frozen network by more than the spread | yes |" in shown
    assert (study / "guard.png").stat().st_size > 5000
    with pytest.raises(SystemExit):
        main([str(study / "none")])
    assert "has no DATA/METHOD/RATE/SEED/scores.json" in capsys.readouterr().err
