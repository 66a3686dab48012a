"""What is found in folders, and what the page says of it."""

import csv
import json
import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.run_folders import HOSTILE, write_run
from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.report import main
from odc_lightning.reporting.report_page import ReportInputs, build_report, find_runs
from odc_lightning.reporting.report_page.measures import final_values, headlines
from odc_lightning.runs.results import write_results


def sweep(folder: Path) -> Path:
    for k, knn in ((10, (0.5, 0.6)), (20, (0.7, 0.9))):
        for seed in range(2):
            write_run(
                folder / f"k_{k}" / f"seed_{seed}",
                {"algorithm.num_clusters": k, "seed": seed},
                {"train/loss": [4, 3, 2, 1 + seed], "eval/knn_top1": [0.4, knn[seed]]},
                knn_top1=knn[seed],
            )
    return folder


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    parsed: dict[str, object] = json.loads(found[1])
    return parsed


def test_seeds_of_a_sweep_are_one_row_and_one_line(tmp_path: Path) -> None:
    build_report(find_runs([sweep(tmp_path / "s")]), tmp_path / "out" / "r.html")
    page = (tmp_path / "out" / "r.html").read_text()
    data = data_of(page)
    assert data["groups"] == ["num_clusters=10", "num_clusters=20"]
    assert f"55.0 ± {100 * statistics.stdev([0.5, 0.6]):.1f}" in page
    assert f"<b>80.0 ± {100 * statistics.stdev([0.7, 0.9]):.1f}</b>" in page  # the best
    loss = data["panels"][0]  # type: ignore[index]
    assert loss["title"] == "Training loss"
    mean = [line for line in loss["lines"] if line["run"] is None]
    assert [line["y"] for line in mean] == [[4, 3, 2, 1.5]] * 2
    assert mean[0]["x"] == [1, 2, 3, 4]
    assert mean[0]["perEpoch"] == 2
    titles = [axis["title"] for axis in data["axes"]]  # type: ignore[attr-defined]
    assert titles == ["num_clusters", "loss", "label switches (%)", "kNN top-1 (%)"]
    assert data["axes"][0]["values"] == [10, 10, 20, 20]  # type: ignore[index]


def test_the_page_asks_nothing_of_the_network(tmp_path: Path) -> None:
    build_report(find_runs([sweep(tmp_path / "s")]), tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    links = re.findall(r'(?:src|href|action)\s*=\s*"([^"]*)"', page)
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert (tmp_path / "r.html").stat().st_size < 200_000


def test_names_are_never_markup(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"name": HOSTILE}, {"train/loss": [1, 2], HOSTILE[:9]: [1]})
    (run / "train.log").write_text(
        f"[1][x.y][WARNING] - {HOSTILE}\n[1][x.y][INFO] - all is well here\n"
    )
    build_report(find_runs([run]), tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "window.hacked" in page
    assert "<script>window" not in page
    assert "<img src=x" not in page
    assert page.count("<script") == 2
    assert "all is well here" not in page
    assert 'aria-label="Warnings"' in page


def test_warnings_of_many_runs_are_one_notice(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, {"name": name}, {"train/loss": [1]}) for name in "abc"]
    for run in runs[:2]:
        (run / "train.log").write_text("[1][x.y][WARNING] - too warm\n")
    build_report(find_runs(runs), tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert page.count('class="notice"') == 1
    assert "2 of 3 runs gave warnings" in page
    assert page.count("<li>too warm</li>") == 2


def test_a_run_that_has_not_finished(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", metrics={"train/loss": [3, 2.5]}, finished=False)
    found = find_runs([run, run])
    assert [final_values(each) for each in found.runs] == [{"train_loss": 2.5}]
    build_report(found, tmp_path / "r.html")
    assert "not finished" in (tmp_path / "r.html").read_text()
    other = write_run(tmp_path / "other", {"algorithm.num_clusters": 20}, {"train/loss": [1]})
    build_report(find_runs([run, other]), tmp_path / "r.html")
    assert data_of((tmp_path / "r.html").read_text())["runs"] == ["run (not finished)", "other"]


def test_an_evaluation_beside_its_run(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "s")
    of_one = folder / "k_20" / "seed_1"
    scores = [
        Score("linear", "conv1", "top1", 0.5),
        Score("linear", "conv2", "top1", 0.75),
        Score("low_shot", "pooled", "top1", 0.2, "1 shot"),
        Score("low_shot", "pooled", "top1", 0.3, "mean"),
    ]
    evaluation = Evaluation("odc", str(of_one / "checkpoints/last.ckpt"), "convnet", "x", scores)
    assert headlines(evaluation) == {"linear top1": 0.75, "low_shot top1": 0.3}
    (tmp_path / "e").mkdir()
    write_results(tmp_path / "e" / "results.json", evaluation)
    build_report(find_runs([folder, tmp_path / "e"]), tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    axes = data_of(page)["axes"]
    linear = next(axis for axis in axes if axis["title"] == "linear top-1 (%)")  # type: ignore[attr-defined]
    assert linear["values"] == [None, None, None, 75.0]
    assert "Linear classifiers on frozen features: top-1 (%)" in page


def test_the_contact_sheet_is_in_the_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", metrics={"train/loss": [1, 2]})
    clusters = run / "look at #1"
    clusters.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3000, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(clusters / "contact_sheet.png")
    (clusters / "index.html").touch()
    build_report(find_runs([run]), tmp_path / "out" / "r.html")
    page = (tmp_path / "out" / "r.html").read_text()
    assert 'src="data:image/webp;base64,' in page
    assert 'width="1400" height="19"' in page
    assert 'href="../run/look%20at%20%231/index.html"' in page


def test_a_damaged_run_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "s")
    (folder / "k_10" / "seed_0" / "summary.json").write_text("{")
    (folder / "k_10" / "seed_1" / "config.yaml").write_text("[1")
    found = find_runs([folder])
    assert len(found.runs) == 2
    assert [problem.partition(": ")[0] for problem in found.problems] == [
        str(folder / "k_10" / f"seed_{seed}") for seed in range(2)
    ]


def test_the_order_of_folders_is_that_of_numbers(tmp_path: Path) -> None:
    for k in (100, 9, 10):
        write_run(tmp_path / f"k_{k}", {"algorithm.num_clusters": k}, {"train/loss": [1]})
    assert [run.folder.name for run in find_runs([tmp_path]).runs] == ["k_9", "k_10", "k_100"]


def test_long_runs_make_a_small_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", metrics={"train/loss": [1]})
    with (run / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "epoch", "train/loss"])
        writer.writerows((i, 0, 5 if i == 33_333 else 1 / (i + 1)) for i in range(50_000))
    build_report(find_runs([run]), tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    line = data_of(page)["panels"][0]["lines"][0]  # type: ignore[index]
    assert len(line["x"]) <= 1002
    assert line["y"][line["x"].index(33_334)] == 5
    assert len(line["smooth"]["x"]) == 500


class TestCommand:
    def test_it_writes_into_the_first_folder(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        main([str(sweep(tmp_path / "s"))])
        assert (tmp_path / "s" / "report.html").is_file()
        assert capsys.readouterr().out.startswith("4 runs; 0.")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["{}/nothing"], "is not a folder"),
            (["{}"], "found no run in"),
            (["{}", "--out", "{}/report.txt"], "ends in .html"),
        ],
    )
    def test_refusals(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        message: str,
    ) -> None:
        with pytest.raises(SystemExit):
            main([argument.format(tmp_path) for argument in arguments])
        assert message in capsys.readouterr().err


def test_an_empty_report_of_evaluations_alone(tmp_path: Path) -> None:
    evaluation = Evaluation("odc", "x", "convnet", "digits", [Score("knn", "pooled", "top1", 0.5)])
    build_report(ReportInputs(evaluations=[(tmp_path, evaluation)]), tmp_path / "r.html")
    assert "Evaluation on digits, convnet" in (tmp_path / "r.html").read_text()
