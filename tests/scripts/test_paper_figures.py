"""The scripts that draw the paper's figures, on folders whose numbers are known."""

import statistics
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from helpers.run_folders import CONFIG, write_run
from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.reporting.figures import Point, choose_rows, draw_sheet, draw_strips, read_sweep
from odc_lightning.reporting.figures.losses import course
from odc_lightning.reporting.figures.stability import build_figure as build_stability
from odc_lightning.reporting.figures.sweep import SweepPanel
from odc_lightning.reporting.figures.sweep import build_figure as build_sweeps
from odc_lightning.reporting.tables.paper_tables import paper_tables, published_table_4
from odc_lightning.runs.csv_files import write_clusters
from odc_lightning.runs.images import build_images
from odc_lightning.runs.results import write_results
from scripts import figure_3, figure_4, figure_5, figure_6, figure_7, tables

KEY = "algorithm.centroid_refresh.every_n_steps"


def a_sweep(folder: Path, key: str = KEY) -> Path:
    """Three values; the third has no finished run."""
    for value, scores in ((100, (0.5, 0.7)), (5, (0.8,)), (9, (None,))):
        for seed, score in enumerate(scores):
            run = folder / f"at_{value}" / f"seed_{seed}"
            finished = score is not None
            write_run(run, {"seed": seed}, {"train/loss": [1]}, finished=finished, knn_top1=score)
            config = OmegaConf.load(run / "config.yaml")
            OmegaConf.update(config, key, value, force_add=True)
            OmegaConf.save(config, run / "config.yaml")
    return folder


def is_drawn(path: Path, colour: tuple[int, int, int], pixels: int = 60) -> bool:
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int).reshape(-1, 3)
    return bool((np.abs(picture - np.array(colour)).max(axis=1) < 8).sum() > pixels)


BLUE, ORANGE, GREEN = (0, 114, 178), (213, 94, 0), (0, 158, 115)


class TestSweeps:
    def test_values_ascend_and_seeds_stay_together(self, tmp_path: Path) -> None:
        points = read_sweep(a_sweep(tmp_path / "s"), KEY, "knn_top1")
        assert [(point.value, point.scores) for point in points] == [
            (5.0, (80.0,)),
            (100.0, (50.0, 70.0)),
        ]
        assert [point.mean for point in points] == [80, 60]
        assert [point.spread for point in points] == [0, statistics.stdev([50, 70])]

    def test_each_value_has_its_own_untrained_networks(self, tmp_path: Path) -> None:
        """On other images they score otherwise."""
        for name, value, before in (("a", 1, 0.5), ("b", 1, 0.7), ("c", 8, 0.4), ("d", 9, None)):
            untrained = {"knn_top1": before, "nmi": None}
            run = write_run(tmp_path / name, knn_top1=0.9, untrained=untrained)
            config = OmegaConf.load(run / "config.yaml")
            OmegaConf.update(config, KEY, value, force_add=True)
            OmegaConf.save(config, run / "config.yaml")
        points = read_sweep(tmp_path, KEY, "knn_top1")
        assert [point.untrained for point in points] == [(50, 70), (40,), ()]
        (axes,) = build_sweeps([SweepPanel("x", "y", points)], "z").axes
        dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
        np.testing.assert_allclose(np.asarray(dashed[0].get_xydata()), [[1, 60], [8, 40]])

    def test_evaluations_of_the_runs_count_where_there_are_some(self, tmp_path: Path) -> None:
        runs = a_sweep(tmp_path / "runs")
        for run in ("at_5/seed_0", "at_100/seed_0"):
            (runs / run / "checkpoints").mkdir()
            (runs / run / "checkpoints" / "last.ckpt").touch()
        for number, (checkpoint, *values) in enumerate(
            (
                ("untrained", 0.2, 0.3),
                (f"{runs}/at_5/seed_0", 0.4, 0.6),
                (f"{runs}/at_100/seed_0/checkpoints/last.ckpt", 0.7, 0.5),
            )
        ):
            scores = [
                Score("svm", f"conv{layer}", "map", each) for layer, each in enumerate(values)
            ]
            scores += [Score("knn", "pooled", "top1", k / 100, f"k={k}") for k in (20, 100)]
            folder = runs / "evaluated" / str(number)
            folder.mkdir(parents=True)
            evaluation = Evaluation("a", checkpoint, "resnet50", "voc07", scores)
            write_results(folder / "results.json", evaluation)
        points = read_sweep(tmp_path / "runs", KEY, "svm_map")
        assert points == [Point(5.0, (60.0,), (30.0,)), Point(100.0, (70.0,), (30.0,))]
        # Not the best k, which would be chosen by the images that it is tested on.
        assert read_sweep(tmp_path / "runs", KEY, "knn_top1")[0] == Point(5.0, (20.0,), (20.0,))
        with pytest.raises(ValueError, match="a score for linear_top1"):
            read_sweep(tmp_path / "runs", KEY, "linear_top1")

    @pytest.mark.parametrize(("key", "score"), [("no.such", "knn_top1"), (KEY, "nmi")])
    def test_a_sweep_without_it_is_refused(self, tmp_path: Path, key: str, score: str) -> None:
        with pytest.raises(ValueError, match=f"no run, .* with a number for {key}"):
            read_sweep(a_sweep(tmp_path / "s"), key, score)

    def test_the_bars_are_means_and_spreads(self) -> None:
        points = [Point(1, (50.0, 70.0)), Point(64, (80.0, 80.0))]
        figure = build_sweeps([SweepPanel("x", "y", points)], "z")
        (axes,) = figure.axes
        (container,) = axes.containers
        line, _, (bars,) = container
        np.testing.assert_allclose(line.get_xydata(), np.array([[1, 60], [64, 80]]))
        spread = statistics.stdev([50, 70])
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        expected = np.array([[60 - spread, 60 + spread], [80, 80]])
        np.testing.assert_allclose(ends, expected)
        assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "64"]

    def test_seeds_alone_do_not_fill_the_axis(self) -> None:
        points = [Point(1, (80.0, 80.1)), Point(2, (80.0, 80.1))]
        low, high = build_sweeps([SweepPanel("x", "y", points)], "z").axes[0].get_ylim()
        assert high - low >= 7.9

    def test_figure_4(self, tmp_path: Path) -> None:
        sizes = a_sweep(tmp_path / "sizes", "algorithm.small_clusters.threshold")
        out = tmp_path / "out.png"
        figure_4.main([str(a_sweep(tmp_path / "s")), str(sizes), str(out)])
        assert is_drawn(out, BLUE)

    def test_figure_6(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "out.png"
        figure_6.main([str(a_sweep(tmp_path / "s", "data.subset.imbalance")), str(out)])
        assert is_drawn(out, BLUE)
        with pytest.raises(SystemExit):
            figure_6.main([str(a_sweep(tmp_path / "other")), str(out)])
        assert (
            "expected the folder of a sweep over data.subset.imbalance" in capsys.readouterr().err
        )


class TestStability:
    METRICS = ("odc/label_switch_ratio", "odc/nmi_previous_epoch")

    def runs(self, folder: Path) -> list[Path]:
        values = [([1, 0.5, 0.4, 0.1], [0.5, 0.9]), ([0.8, 0.7, 0.2, 0.1], [0.7, 0.7])]
        return [
            write_run(folder / str(i), metrics=dict(zip(self.METRICS, pair, strict=True)))
            for i, pair in enumerate(values)
        ]

    def test_steps_become_epochs_and_seeds_their_mean(self, tmp_path: Path) -> None:
        runs = self.runs(tmp_path)
        epochs, values = course(runs[0], self.METRICS[0])
        np.testing.assert_allclose(epochs, [0.5, 1, 1.5, 2])
        np.testing.assert_allclose(values, [1, 0.5, 0.4, 0.1])
        left, right = build_stability({"ODC": runs}).axes
        np.testing.assert_allclose(np.asarray(left.lines[-1].get_ydata()), [0.9, 0.6, 0.3, 0.1])
        np.testing.assert_allclose(np.asarray(right.lines[-1].get_xydata()), [[1, 0.6], [2, 0.8]])

    def test_many_values_are_smoothed_and_have_no_dots(self, tmp_path: Path) -> None:
        values = np.tile([0.2, 0.2, 0.9], 100).tolist()
        metrics = {self.METRICS[0]: values, self.METRICS[1]: [0.5] * 150}
        (axes, _) = build_stability({"ODC": [write_run(tmp_path / "run", metrics=metrics)]}).axes
        np.testing.assert_allclose(np.asarray(axes.lines[-1].get_ydata()), 0.2)
        assert axes.lines[-1].get_marker() in ("", "None")

    def test_figure_5(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        one, other = self.runs(tmp_path)
        out = tmp_path / "out.png"
        figure_5.main([f"one={one}", f"other={other}", str(out)])
        assert is_drawn(out, BLUE)
        assert is_drawn(out, ORANGE)
        with pytest.raises(SystemExit):
            figure_5.main(["one", str(out)])
        assert "expected NAME=RUN, got 'one'" in capsys.readouterr().err


class TestClusters:
    def test_figure_7_of_the_digits(self, tmp_path: Path) -> None:
        """Clusters 0 and 1 have 12 images and more, 2 has fewer."""
        run = write_run(tmp_path / "run")
        config = OmegaConf.load(run / "config.yaml")
        train = {"_target_": "odc_lightning.data.digits", "_partial_": True, "split": "train"}
        config = OmegaConf.merge(CONFIG, config)
        config.data.update({"train": train, "subset": {"num_images": 40}})
        OmegaConf.save(config, run / "config.yaml")
        source = build_images(config.data)
        labels = np.repeat([0, 1, 2], [15, 15, 10])
        distances = torch.linspace(1, 0, 40)
        write_clusters(run / "clusters.csv", list("x" * 40), torch.from_numpy(labels), distances)
        figure_7.main([str(run), str(tmp_path / "out.png")])
        assert is_drawn(tmp_path / "out.png", ORANGE)
        assert source.labels is not None
        large = slice(0, 30)
        classes, near = source.labels[large], distances[large].numpy()
        rows = choose_rows(labels[large], near, "tightness", 9, 12, classes)
        assert [row.cluster for row in rows] == [1, 0]
        expected = draw_sheet(rows, draw_strips(source, rows, figure_7.SIDE), source.class_names)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(expected))


def write_evaluation(folder: Path, name: str, values: dict[str, float], **facts: str) -> None:
    folder.mkdir(parents=True)
    scores = [Score("linear", layer, "top1", value) for layer, value in values.items()]
    scores.append(Score("low_shot", "pooled", "top1", 0.25, "1 shot"))
    scores.append(Score("low_shot", "pooled", "top1", 0.5, "8 shots"))
    settings = {"checkpoint": "x", "backbone": "convnet", "data": "digits", **facts}
    write_results(folder / "results.json", Evaluation(name, scores=scores, **settings))  # type: ignore[arg-type]


class TestTables:
    def test_the_papers_values(self) -> None:
        found = paper_tables([])
        assert "| Random (paper) | 11.6 | 17.1 | 16.9 | 16.3 | 14.1 | 15.7 | 20.3 |" in found
        assert "| ODC (paper) | 78.2 | 57.1 |" in found
        assert "| DeepCluster (paper) | 69.1 | 46.9 |" in found
        assert published_table_4().splitlines()[2:] == [
            "| original | 55.6 | 64.5 | 67.4 | 69.1 |",
            "| DC | 61.2 | 68.5 | 68.6 | 70.0 |",
            "| ODC | 72.3 | 74.4 | 74.5 | 77.0 |",
        ]

    def test_own_values_in_the_papers_rows(self) -> None:
        def evaluation(value: float) -> Evaluation:
            scores = [Score("linear", "conv1", "top1", value)]
            return Evaluation("mine", "x", "alexnet", "imagenet", scores, published=True)

        found = paper_tables([evaluation(0.5), evaluation(0.6)])
        assert "| **mine** (here) | 55.0 ± 7.1 | – |" in found.partition("Table 2")[0]
        svm = [
            Score("svm", "conv4", "map", 0.2),
            Score("svm", "conv5", "map", 0.3),
            Score("low_shot", "conv5", "map", 0.1, "1 shot"),
            Score("low_shot", "conv5", "map", 0.15, "mean"),
        ]
        other = Evaluation("voc", "x", "resnet50", "voc07", svm, published=True)
        assert "| **voc** (here) | 30.0 | 15.0 |" in paper_tables([other])

    def test_the_command(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_evaluation(tmp_path / "e" / "0", "odc", {"conv1": 0.5, "pooled": 0.7})
        write_evaluation(tmp_path / "e" / "1", "odc", {"conv1": 0.6, "pooled": 0.7})
        write_evaluation(tmp_path / "f" / "odc" / "rotation_fashion_mnist" / "0", "x", {"a": 0.5})
        tables.main([str(tmp_path / "e"), "--fine-tuning", str(tmp_path / "f")])
        found = capsys.readouterr().out
        assert "linear classifiers on digits, convnet, top-1 (%)" in found
        assert "| odc | 55.0 ± 7.1 | 70.0 ± 0.0 |" in found
        assert "|  | 1 shot | 8 shots |" in found
        assert "| ODC | – | – | 50.0 | – |" in found

    def test_figure_3(self, tmp_path: Path) -> None:
        write_evaluation(tmp_path / "e" / "0", "odc", {})
        figure_3.main([str(tmp_path / "e" / "0"), str(tmp_path / "out.png")])
        assert is_drawn(tmp_path / "out.png", BLUE)
