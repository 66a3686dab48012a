"""Tables, curves, summary and closing lines of a run."""

import csv
import json
import math
import subprocess
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib.lines import Line2D

import odc_lightning
from odc_lightning.reporting.figures import draw_curves
from odc_lightning.reporting.figures.curves import build_figure, rolling_median
from odc_lightning.runs.closing_lines import closing_lines
from odc_lightning.runs.csv_files import write_clusters, write_index_table
from odc_lightning.runs.metrics_csv import Series, read_metrics
from odc_lightning.runs.summary import Summary, package_versions, write_summary
from odc_lightning.utils.seals import SUMS
from odc_lightning.utils.timing import format_duration

NASTY = ["a,b.png", 'quo"ted.png', "two\nlines.png", "lone\rreturn.png", "日本/é ü.png", "'#x", ""]


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.reader(file))


def a_summary(**changes: Any) -> Summary:
    summary: Summary = {
        "train_loss": 1.234,
        "chance_loss": math.log(50),
        "label_switch_ratio_first": 0.91,
        "label_switch_ratio_last": 0.0625,
        "pretrained": None,
        "knn_top1": 0.934,
        "nmi": 0.7812,
        "untrained": {"knn_top1": 0.812, "nmi": 0.4519},
        "steps": 100,
        "kept_epoch": None,
        "kept_criterion": None,
        "start_criterion": None,
        "num_samples": 1437,
        "num_clusters": 50,
        "targets": "clusters",
        "images_per_second": 5120.4,
        "wall_seconds": 80.2,
        "versions": {"python": "3.11.7", "faiss": None},
    }
    return {**summary, **changes}  # type: ignore[typeddict-item]


def a_finished_run(folder: Path, *names: str) -> Path:
    """A folder with a checkpoint and other files, all empty."""
    for name in ("checkpoints/last.ckpt", *names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


class TestTables:
    def test_index_table_keeps_any_name(self, tmp_path: Path) -> None:
        write_index_table(tmp_path / "index.csv", NASTY)
        rows = [[str(i), name] for i, name in enumerate(NASTY)]
        assert read_csv(tmp_path / "index.csv") == [["index", "path"], *rows]

    def test_names_that_are_not_utf8_leave_as_they_came(self, tmp_path: Path) -> None:
        write_index_table(tmp_path / "index.csv", ["caf\udce9.png"])
        assert b"0,caf\xe9.png\r\n" in (tmp_path / "index.csv").read_bytes()

    def test_clusters(self, tmp_path: Path) -> None:
        labels, distances = torch.tensor([3, 0]), torch.tensor([0.5, 1.23456789])
        write_clusters(tmp_path / "clusters.csv", ["a,b", "c\nd"], labels, distances)
        assert read_csv(tmp_path / "clusters.csv") == [
            ["index", "path", "cluster", "distance"],
            ["0", "a,b", "3", "0.500000"],
            ["1", "c\nd", "0", "1.234568"],
        ]

    @pytest.mark.parametrize(("num_labels", "num_distances"), [(3, 2), (2, 3), (1, 1)])
    def test_clusters_of_unequal_lengths(
        self, tmp_path: Path, num_labels: int, num_distances: int
    ) -> None:
        labels, distances = torch.zeros(num_labels, dtype=torch.int64), torch.zeros(num_distances)
        with pytest.raises(ValueError, match="2 names"):
            write_clusters(tmp_path / "clusters.csv", ["a", "b"], labels, distances)
        assert not (tmp_path / "clusters.csv").exists()


class TestMetrics:
    CSV = (
        "epoch,eval/nmi,never,step,train/loss\n"
        ",0.25,,0,\n"  # scored before training: no epoch
        "0,,,0,4\n0,,,1,2\n0,0.5,,1,\n1,,,2,nan\n1,,,3,1\n"
    )

    def test_reads_what_was_logged(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.csv"
        path.write_text(self.CSV)
        metrics = read_metrics(path)
        assert set(metrics) == {"eval/nmi", "train/loss"}
        np.testing.assert_array_equal(metrics["eval/nmi"], [[0, 1], [-1, 0], [0.25, 0.5]])
        np.testing.assert_array_equal(
            metrics["train/loss"], [[0, 1, 2, 3], [0, 0, 1, 1], [4, 2, math.nan, 1]]
        )

    def test_empty_file(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.csv").touch()
        assert read_metrics(tmp_path / "metrics.csv") == {}

    def test_another_csv(self, tmp_path: Path) -> None:
        (tmp_path / "clusters.csv").write_text("index,path\n0,a\n")
        with pytest.raises(ValueError, match="'step' and 'epoch'"):
            read_metrics(tmp_path / "clusters.csv")


def some_metrics(length: int = 6, *names: str) -> dict[str, Series]:
    steps = np.arange(float(length))
    values = np.linspace(1, 0.5, length)
    return {name: Series(steps, steps // 2, values) for name in names}


EVERYTHING = (
    "train/loss",
    "odc/label_switch_ratio",
    "odc/cluster_size_min",
    "odc/cluster_size_max",
    "eval/knn_top1",
    "odc/nmi_previous_epoch",
)
TITLES = ["Training loss", "Label-switch ratio", "Cluster sizes", "Agreement"]


def points(line: Line2D) -> np.ndarray:
    """(K, 2): x and y."""
    return np.asarray(line.get_xydata())


class TestCurves:
    def test_panels(self) -> None:
        figure = build_figure(some_metrics(6, *EVERYTHING), 10, 200)
        titles = [axes.get_title("left") for axes in figure.axes]
        assert [title.split(":")[0] for title in titles] == TITLES

    @pytest.mark.parametrize(
        ("names", "titles"),
        [
            (["train/loss"], ["Training loss"]),
            (["odc/cluster_size_min"], ["Cluster sizes"]),
            (["eval/nmi", "train/loss"], ["Training loss", "Agreement"]),
            (["odc/centroid_drift"], []),
        ],
    )
    def test_panels_without_metrics_are_left_out(self, names: list[str], titles: list[str]) -> None:
        figure = build_figure(some_metrics(6, *names), 10, 200)
        assert [axes.get_title("left") for axes in figure.axes] == titles

    def test_chance_is_ln_c(self) -> None:
        axes = build_figure(some_metrics(6, "train/loss"), 10, 200).axes[0]
        curve, chance = axes.lines
        np.testing.assert_array_equal(points(curve)[:, 1], np.linspace(1, 0.5, 6))
        assert points(chance)[:, 1].tolist() == [math.log(10)] * 2
        assert chance.get_linestyle() == "--"
        assert axes.texts[0].get_text() == "chance, ln C = 2.30"
        assert axes.get_ylim()[1] > math.log(10)

    def test_mean_size_is_n_over_c_and_an_empty_cluster_is_seen(self) -> None:
        metrics = some_metrics(6, "odc/cluster_size_min", "odc/cluster_size_max")
        metrics["odc/cluster_size_min"].values[3] = 0
        axes = build_figure(metrics, 10, 200).axes[0]
        assert points(axes.lines[-1])[:, 1].tolist() == [20.0] * 2
        assert axes.get_yscale() == "symlog"
        assert axes.get_ylim()[0] == 0

    def test_scores_before_training_are_at_epoch_zero(self) -> None:
        metrics = {"eval/nmi": Series(np.zeros(2), np.array([-1.0, 0.0]), np.array([0.1, 0.4]))}
        (line,) = build_figure(metrics, 10, 200).axes[0].lines
        assert points(line).tolist() == [[0, 0.1], [1, 0.4]]

    def test_long_runs_are_smoothed(self) -> None:
        metrics = some_metrics(9000, "train/loss")
        metrics["train/loss"].values[4500] = 100.0
        metrics["train/loss"].values[10] = math.nan
        raw, smooth, _chance = build_figure(metrics, 10, 200).axes[0].lines
        assert len(points(raw)) <= 4000
        assert len(points(smooth)) == 500
        assert points(smooth)[:, 1].max() <= 1.0

    def test_rolling_median(self) -> None:
        places, medians = rolling_median(np.array([9.0, 1, 2, 100, 4]), 3)
        np.testing.assert_array_equal(places, [0, 1, 2, 3, 4])
        np.testing.assert_array_equal(medians, [5, 2, 2, 4, 52])

    @pytest.mark.renders
    def test_picture(self, tmp_path: Path) -> None:
        rows = [
            "epoch,step,train/loss,odc/label_switch_ratio,eval/nmi",
            "0,0,2.3,0.9,",
            "0,1,,,0.5",
        ]
        (tmp_path / "metrics.csv").write_text("\n".join(rows))
        draw_curves(tmp_path / "metrics.csv", tmp_path / "curves.png", 10, 200)
        picture = matplotlib.image.imread(tmp_path / "curves.png")
        assert picture.shape == (912, 1320, 4)  # two rows of panels at 120 dots an inch
        assert picture.std() > 0.05


class TestSummary:
    def test_round_trip(self, tmp_path: Path) -> None:
        write_summary(tmp_path / "summary.json", a_summary())
        assert json.loads((tmp_path / "summary.json").read_text()) == a_summary()
        assert {path.name for path in tmp_path.iterdir()} == {"summary.json", SUMS}

    def test_nan_becomes_null(self, tmp_path: Path) -> None:
        untrained = {"knn_top1": math.nan, "nmi": 0.5}
        summary = a_summary(train_loss=math.nan, images_per_second=math.inf, untrained=untrained)
        write_summary(tmp_path / "summary.json", summary)

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} in the file")

        text = (tmp_path / "summary.json").read_text()
        found = json.loads(text, parse_constant=refuse)
        assert found["train_loss"] is found["images_per_second"] is None
        assert found["untrained"] == {"knn_top1": None, "nmi": 0.5}

    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path) -> None:
        write_summary(tmp_path / "summary.json", a_summary())
        with pytest.raises(TypeError):
            write_summary(tmp_path / "summary.json", a_summary(nmi=object()))
        assert json.loads((tmp_path / "summary.json").read_text()) == a_summary()

    def test_versions(self) -> None:
        versions = package_versions()
        assert list(versions) == [
            "python",
            "torch",
            "torchvision",
            "pytorch_lightning",
            "faiss",
            "odc_lightning",
        ]
        assert versions["torch"] == str(torch.__version__)
        assert type(versions["torch"]) is str
        assert versions["odc_lightning"] == odc_lightning.__version__


class TestClosingLines:
    def test_everything(self, tmp_path: Path) -> None:
        (tmp_path / "checkpoints").mkdir()
        for name in ("clusters.csv", "checkpoints/last.ckpt"):
            (tmp_path / name).touch()
        assert closing_lines(a_summary(), tmp_path).splitlines() == [
            "                    untrained network    this run",
            "kNN top-1                       81.2%       93.4%",
            "NMI                             0.452       0.781",
            "",
            "data                1,437 images in 50 clusters",
            "loss                1.23 (chance, ln C: 3.91)",
            "label-switch ratio  0.91 -> 0.06",
            "speed               5,120 images/s",
            "wall time           1:20",
            "",
            f"{tmp_path}/",
            "  clusters.csv            the cluster of every file",
            "  checkpoints/last.ckpt   network and clustering, to resume from or to evaluate",
            "",
            f"name clusters       odc clusters {tmp_path} serve=true",
            f"other images        odc assign {tmp_path} FOLDER",
        ]

    @pytest.mark.parametrize("name", ["holiday 2026", "it's $HOME", "a=b, `c`!", "plain"])
    def test_commands_can_be_pasted(self, tmp_path: Path, name: str) -> None:
        run = a_finished_run(tmp_path / name, "clusters/index.html")
        *_, page, naming, other = closing_lines(a_summary(), run).splitlines()
        assert page == f"page                {run}/clusters/index.html"
        assert naming.startswith("name clusters       odc clusters ")
        assert other.startswith("other images        odc assign ")
        shell = ["bash", "-c", f"odc() {{ printf '%s|' \"$@\"; }}; {naming[20:]}; {other[20:]}"]
        printed = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
        assert printed == f"clusters|{run}|serve=true|assign|{run}|FOLDER|"

    def test_commands_are_those_that_the_run_supports(self, tmp_path: Path) -> None:
        run = a_finished_run(tmp_path / "run")
        text = closing_lines(a_summary(), run, has_features=False)
        assert text.endswith(f"\n\nother images        odc assign {run} FOLDER")
        assert "odc clusters" not in text
        assert "odc " not in closing_lines(a_summary(targets="classes"), run)
        (run / "checkpoints" / "last.ckpt").unlink()
        assert "odc " not in closing_lines(a_summary(), run)
        assert "odc " not in closing_lines(a_summary(), a_finished_run(tmp_path / "two\nlines"))

    def test_chance_that_is_not_ln_c_is_not_called_so(self, tmp_path: Path) -> None:
        text = closing_lines(a_summary(chance_loss=3.1, targets="colours"), tmp_path)
        assert "1,437 images in 50 colours" in text
        assert "1.23 (chance: 3.10)" in text
        figure = build_figure(some_metrics(6, "train/loss"), 50, 200, chance=3.1)
        (note,) = figure.axes[0].texts
        assert note.get_text() == "chance = 3.10"

    def test_without_labels_there_is_no_table(self, tmp_path: Path) -> None:
        unknown = {"knn_top1": None, "nmi": None}
        lines = closing_lines(a_summary(**unknown, untrained=unknown), tmp_path).splitlines()
        assert lines[0].startswith("data")
        assert not any("kNN" in line or "NMI" in line for line in lines)

    def test_values_that_are_not_known_are_left_out(self, tmp_path: Path) -> None:
        summary = a_summary(
            train_loss=None,
            label_switch_ratio_first=None,
            label_switch_ratio_last=None,
            images_per_second=None,
            knn_top1=None,
        )
        text = closing_lines(summary, tmp_path)
        assert "kNN top-1                       81.2%           -" in text
        assert not any(word in text for word in ("loss", "ratio", "speed", "None"))

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (80, "1:20"), (7205, "2:00:05")],
    )
    def test_durations(self, seconds: float, text: str) -> None:
        assert format_duration(seconds) == text


def test_a_network_that_was_trained_before_is_not_called_untrained(tmp_path: Path) -> None:
    assert "untrained network" in closing_lines(a_summary(), tmp_path)
    started = closing_lines(a_summary(pretrained="swav.pth"), tmp_path)
    assert "starting network" in started
    assert "untrained" not in started
