"""What an evaluation leaves: tables beside the published scores, results.json, a figure."""

import csv
import io
import json
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from rich.console import Console

from helpers.paths import SCRIPTS
from helpers.processes import run_python
from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.reporting.figures import draw_low_shot
from odc_lightning.reporting.figures.low_shot import build_figure, spread_out
from odc_lightning.reporting.tables import evaluation_table, print_evaluation, published_scores
from odc_lightning.runs.results import read_results, write_results
from odc_lightning.runs.summary import package_versions
from odc_lightning.utils.seals import SUMS

SCRIPT = SCRIPTS / "evaluation_table.py"
GREY = re.compile(r'<span style="color:gray">(.*?)</span>')
CURVE = {1: 0.3, 2: 0.4, 96: 0.7}  # shots -> score
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def network(
    name: str,
    *scores: Score,
    data: str = "digits",
    backbone: str = "convnet",
    checkpoint: str | None = None,
    published: bool = True,
) -> Evaluation:
    file = checkpoint or f"{name}.ckpt"
    return Evaluation(name, file, backbone, data, list(scores), published=published)


def linear(*values: float, metric: str = "top1") -> list[Score]:
    return [Score("linear", layer, metric, v) for layer, v in zip(LAYERS, values, strict=False)]


def low_shot(
    layer: str, metric: str, values: dict[int, float], spread: float = 0.01
) -> list[Score]:
    shots = [Score("low_shot", layer, metric, v, f"{k} shots", spread) for k, v in values.items()]
    mean = sum(values.values()) / len(values)
    return [*shots, Score("low_shot", layer, metric, mean, "mean", spread)]


def tables(markdown: str) -> dict[str, list[list[str]]]:
    """Title -> the cells of each table, without the rule."""
    found: dict[str, list[list[str]]] = {}
    title = ""
    for line in markdown.splitlines():
        if line.startswith("## "):
            title = line[3:]
        elif line.startswith("| ") and not line.startswith("| ---"):
            found.setdefault(title, []).append(re.split(r" (?<!\\)\| ", line[2:-2]))
    return found


def points(line: Line2D) -> np.ndarray:
    """(K, 2): x and y."""
    return np.asarray(line.get_xydata())


def plain(cells: list[str]) -> list[str]:
    return [GREY.sub(r"\1", cell).replace("**", "") for cell in cells]


class TestPublished:
    # Typed from the paper: ImageNet, then Places.
    LINEAR = (
        ("alexnet", "Random", (11.6, 17.1, 16.9, 16.3, 14.1), (15.7, 20.3, 19.8, 19.1, 17.5)),
        ("alexnet", "DeepCluster", (12.9, 29.2, 38.2, 39.8, 36.1), (18.6, 30.8, 37.0, 37.5, 33.1)),
        ("alexnet", "ODC", (19.6, 32.8, 40.4, 41.4, 37.3), (24.0, 33.2, 38.3, 38.4, 35.5)),
        ("resnet50", "DeepCluster", (14.4, 29.6, 39.9, 52.2, 50.3), (19.3, 31.9, 39.0, 46.1, 43.6)),
        ("resnet50", "ODC", (14.8, 31.6, 42.5, 55.7, 57.6), (21.4, 35.0, 41.3, 47.4, 49.3)),
    )

    @pytest.mark.parametrize(("backbone", "method", "imagenet", "places"), LINEAR)
    def test_tables_1_and_2(
        self, backbone: str, method: str, imagenet: tuple[float, ...], places: tuple[float, ...]
    ) -> None:
        for data, values in (("imagenet", imagenet), ("places205", places)):
            published = published_scores(backbone, f"{data}_linear")
            found = [score for score in published if score.method == method]
            assert [(s.layer, s.value) for s in found] == list(zip(LAYERS, values, strict=True))
            assert {s.table for s in found} == {"1" if backbone == "alexnet" else "2"}
            assert {(s.setting, s.metric) for s in found} == {("", "top1")}

    def test_best_layers_of_table_2(self) -> None:
        for data, expected in (
            ("imagenet", {"Rotation": 41.7, "BigBiGAN": 55.4, "CMC": 58.4}),
            ("places205", {"Rotation": 38.1}),
        ):
            published = published_scores("resnet50", f"{data}_linear")
            assert {s.method: s.value for s in published if s.layer == "best"} == expected

    def test_table_3(self) -> None:
        found = {
            (s.method, s.layer, s.setting): s.value
            for protocol in ("svm", "low_shot")
            for s in published_scores("resnet50", f"voc07_{protocol}")
            if s.table == "3" and s.metric == "map"
        }
        assert found == {
            ("ImageNet labels", "conv5", ""): 88.0,
            ("Random", "conv1", ""): 9.6,
            ("Jigsaw", "conv4", ""): 64.5,
            ("Colorization", "conv4", ""): 55.6,
            ("Rotation", "conv4", ""): 67.4,
            ("DeepCluster", "conv5", ""): 69.1,
            ("ODC", "conv5", ""): 78.2,
            ("ImageNet labels", "conv5", "mean"): 75.4,
            ("Random", "conv1", "mean"): 12.7,
            ("Jigsaw", "conv4", "mean"): 39.2,
            ("Colorization", "conv4", "mean"): 33.3,
            ("Rotation", "conv4", "mean"): 41.0,
            ("DeepCluster", "conv5", "mean"): 46.9,
            ("ODC", "conv5", "mean"): 57.1,
        }

    def test_table_4_names_what_was_fine_tuned_from_what(self) -> None:
        published = published_scores("resnet50", "voc07_svm")
        assert {s.method: s.value for s in published if s.table == "4"} == {
            "Colorization": 55.6,
            "Jigsaw": 64.5,
            "Rotation": 67.4,
            "DeepCluster": 69.1,
            "DeepCluster from Colorization": 61.2,
            "DeepCluster from Jigsaw": 68.5,
            "DeepCluster from Rotation": 68.6,
            "DeepCluster from DeepCluster": 70.0,
            "ODC from Colorization": 72.3,
            "ODC from Jigsaw": 74.4,
            "ODC from Rotation": 74.5,
            "ODC from DeepCluster": 77.0,
        }

    def test_model_zoo(self) -> None:
        svm = {
            s.method: s.value for s in published_scores("resnet50", "voc07_svm") if s.table == "zoo"
        }
        assert svm == {"ODC": 78.42, "DeepCluster": 74.26}
        published = published_scores("resnet50", "imagenet_semi_supervised")
        assert {(s.setting, s.metric): s.value for s in published if s.method == "ODC"} == {
            ("1%", "top1"): 32.39,
            ("1%", "top5"): 61.02,
            ("10%", "top1"): 58.15,
            ("10%", "top5"): 82.55,
        }
        assert len(published) == 10 * 4
        assert {(s.table, s.layer) for s in published} == {("zoo", "network")}

    def test_number_of_values(self) -> None:
        """17 methods in Table 1, of which two lack a half, make 160; and so on."""
        path = Path(sys.modules["odc_lightning.reporting.tables.published"].__file__ or "").parent
        with (path / "published.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        counts = Counter(row["table"] for row in rows)
        assert counts == {"1": 160, "2": 89, "3": 14, "4": 12, "zoo": 42}
        assert len({tuple(row[key] for key in list(row)[:7]) for row in rows}) == len(rows)
        assert all(0 < float(row["value"]) < 100 for row in rows)

    @pytest.mark.parametrize(
        ("backbone", "benchmark"),
        [("resnet18", "imagenet_linear"), ("resnet50", "digits_knn"), ("alexnet", "voc07_svm")],
    )
    def test_nothing_is_published_for_the_rest(self, backbone: str, benchmark: str) -> None:
        assert published_scores(backbone, benchmark) == []


class TestMarkdown:
    def test_a_document(self) -> None:
        odc = network(
            "o|dc",
            *linear(0.5, 0.6),
            Score("clustering", "run", "nmi", 0.6834, "50 clusters"),
            Score("clustering", "run", "purity", 0.7512, "50 clusters"),
        )
        untrained = network("untrained", *linear(0.55, 0.4567), checkpoint="untrained")
        for evaluation in (odc, untrained):
            evaluation.skipped["svm"] = "one label an image"
        untrained.skipped["clustering"] = "no run"
        assert evaluation_table([odc, untrained]) == (
            "# Evaluation on digits, convnet\n"
            "\n"
            "- **o\\|dc**: o\\|dc.ckpt\n"
            "- **untrained**: untrained\n"
            "\n"
            "## Linear classifiers on frozen features: top-1 (%)\n"
            "\n"
            "| method | conv1 | conv2 |\n"
            "| --- | ---: | ---: |\n"
            "| **o\\|dc** | 50.0 | **60.0** |\n"
            "| **untrained** | **55.0** | 45.7 |\n"
            "\n"
            "## Clusters beside the classes\n"
            "\n"
            "| method | layer | setting | NMI | purity (%) |\n"
            "| --- | --- | --- | ---: | ---: |\n"
            "| **o\\|dc** | run | 50 clusters | 0.683 | 75.1 |\n"
            "\n"
            "## Skipped\n"
            "\n"
            "- svm: one label an image\n"
            "- clustering: no run (untrained)\n"
        )

    def test_published_rows_are_grey(self) -> None:
        scores = [Score("low_shot", "pooled", "map", 0.5, "mean")]
        markdown = evaluation_table([network("a", *scores, data="voc07", backbone="resnet50")])
        rows = next(iter(tables(markdown).values()))
        assert rows[1] == ["**a**", "pooled", "50.0"]
        assert len(rows) == 2 + 7
        assert rows[-1] == [
            '<span style="color:gray">ODC (Table 3)</span>',
            '<span style="color:gray">conv5</span>',
            '<span style="color:gray">57.1</span>',
        ]
        assert "Re-implemented by the authors: Rotation, DeepCluster." in markdown
        assert markdown.endswith("or in the model zoo of its authors.\n")

    @pytest.mark.parametrize(
        ("data", "backbone", "published", "table"),
        [
            ("imagenet", "alexnet", True, "Table 1"),
            ("places205", "resnet50", True, "Table 2"),
            ("imagenet", "resnet18", True, None),
            ("digits", "resnet50", True, None),
            ("imagenet", "alexnet", False, None),  # other settings, or part of the data
        ],
    )
    def test_published_only_for_the_same_backbone_and_benchmark(
        self, data: str, backbone: str, published: bool, table: str | None
    ) -> None:
        scores = linear(0.1, 0.2, 0.3, 0.4, 0.5)
        a = network("a", *scores, data=data, backbone=backbone, published=published)
        markdown = evaluation_table([a])
        rows = next(iter(tables(markdown).values()))[2:]
        assert {re.search(r"\((.*)\)", row[0])[1] for row in rows} == ({table} if table else set())  # type: ignore[index]
        expected = {
            s.method: [f"{s.value:.1f}"]
            for s in published_scores(backbone, f"{data}_linear")
            if s.layer == "conv4" and published
        }
        found = {plain(row)[0].split(" (")[0]: plain(row)[4:5] for row in rows}
        assert {name: cell for name, cell in found.items() if cell != ["–"]} == expected
        assert ("In grey" in markdown) == (table is not None)

    def test_published_scores_only_in_columns_that_were_evaluated(self) -> None:
        a = network("a", Score("linear", "conv5", "top1", 0.5), data="imagenet", backbone="alexnet")
        top5 = Score("linear", "conv5", "top5", 0.8)
        pooled = Score("linear", "pooled", "top1", 0.8)
        b = network("b", top5, pooled, data="imagenet", backbone="alexnet")
        found = tables(evaluation_table([a, b]))
        first, second = found.values()
        assert first[0] == ["method", "conv5", "pooled"]
        assert plain(first[-1]) == ["ODC (Table 1)", "37.3", "–"]
        assert second == [["method", "conv5"], ["**b**", "80.0"]]

    def test_nothing_published_without_a_common_column(self) -> None:
        scores = [Score("linear", "pooled", "top1", 0.5)]
        markdown = evaluation_table([network("a", *scores, data="imagenet", backbone="resnet50")])
        assert tables(markdown).popitem()[1] == [["method", "pooled"], ["**a**", "50.0"]]
        assert "In grey" not in markdown

    def test_what_was_published_for_the_best_layer(self) -> None:
        scores = [*linear(0.1, 0.2, 0.3, 0.6, 0.5), Score("linear", "pooled", "top1", 0.7)]
        markdown = evaluation_table([network("a", *scores, data="imagenet", backbone="resnet50")])
        rows = {plain(row)[0]: plain(row)[1:] for row in tables(markdown).popitem()[1]}
        assert rows["method"] == [*LAYERS, "pooled", "best"]
        assert rows["a"] == ["10.0", "20.0", "30.0", "60.0", "50.0", "70.0", "60.0"]
        assert rows["Rotation (Table 2)"] == ["–"] * 6 + ["41.7"]
        assert rows["DeepCluster (Table 2)"][-1] == "52.2"
        assert (
            "Best is the highest of a row's conv layers where no best layer is reported."
            in markdown
        )
        assert "Half the parameters: CMC." in markdown

    def test_svm_with_a_best_layer_of_its_own(self) -> None:
        values = {"conv4": 0.7, "conv5": 0.75, "best": 0.78}
        scores = [
            Score("svm", layer, metric, value)
            for metric in ("map", "map_sklearn")
            for layer, value in values.items()
        ]
        markdown = evaluation_table([network("a", *scores, data="voc07", backbone="resnet50")])
        by_voc, by_sklearn = tables(markdown).values()
        rows = {plain(row)[0]: plain(row)[1:] for row in by_voc}
        assert rows["a"] == ["70.0", "75.0", "78.0"]
        assert rows["ODC (Table 3)"] == ["–", "78.2", "78.2"]
        assert rows["ODC (model zoo)"] == ["–", "–", "78.4"]
        assert not any("from" in name for name in rows)  # Table 4
        assert len(rows) == 2 + 7 + 2
        assert by_sklearn == [
            ["method", "conv4", "conv5", "best"],
            ["**a**", "70.0", "75.0", "78.0"],
        ]

    def test_semi_supervised_has_a_column_a_share_and_metric(self) -> None:
        scores = [
            Score("semi_supervised", "network", metric, 0.5, setting, 0.0123)
            for setting in ("10%", "1%")
            for metric in ("top1", "top5")
        ]
        markdown = evaluation_table([network("a", *scores, data="imagenet", backbone="resnet50")])
        header, own, *published = tables(markdown).popitem()[1]
        assert header == ["method", "1% top-1", "1% top-5", "10% top-1", "10% top-5"]
        assert own == ["**a**", *["50.0 ± 1.2"] * 4]
        assert plain(published[6]) == ["ODC (model zoo)", "32.4", "61.0", "58.2", "82.6"]
        assert "± is the standard deviation over independent draws." in markdown
        assert "Learning rate chosen on the validation split: all published." in markdown

    def test_columns_are_ordered_by_their_numbers(self) -> None:
        knn = [Score("knn", "pooled", "top1", 0.5, f"k={k}") for k in (200, 10, 100, 20)]
        shots = low_shot("conv2", "top1", {96: 0.9, 2: 0.3, 16: 0.6}, spread=0.012)
        by_shots, by_neighbours = tables(evaluation_table([network("a", *knn, *shots)])).values()
        assert by_neighbours[0] == ["method", "layer", "k=10", "k=20", "k=100", "k=200"]
        assert by_shots == [
            ["method", "layer", "2", "16", "96", "mean"],
            ["**a**", "conv2", "30.0 ± 1.2", "60.0 ± 1.2", "90.0 ± 1.2", "60.0 ± 1.2"],
        ]

    def test_best_is_bold_among_networks_at_the_same_setting(self) -> None:
        def clusters(layer: str, nmi: float, setting: str) -> Score:
            return Score("clustering", layer, "nmi", nmi, setting)

        a = network(
            "a", clusters("run", 0.9, "50 clusters"), clusters("pooled", 0.5, "10 clusters")
        )
        b = network("b", clusters("pooled", 0.6, "10 clusters"))
        rows = tables(evaluation_table([a, b])).popitem()[1][1:]
        assert [row[-1] for row in rows] == ["0.900", "0.500", "**0.600**"]

    def test_what_looks_the_same_is_equally_good(self) -> None:
        networks = [network("a", *linear(0.50004)), network("b", *linear(0.49996)), network("c")]
        rows = tables(evaluation_table(networks)).popitem()[1][1:]
        assert [row[-1] for row in rows] == ["**50.0**", "**50.0**"]

    def test_nan_is_no_score(self) -> None:
        networks = [network("a", *linear(math.nan, 0.5)), network("b", *linear(0.1, math.nan))]
        rows = tables(evaluation_table(networks)).popitem()[1][1:]
        assert rows == [["**a**", "–", "50.0"], ["**b**", "10.0", "–"]]

    def test_halves_are_rounded_up(self) -> None:
        rows = tables(evaluation_table([network("a", *linear(0.3315, 0.5475, 0.5815))]))
        assert rows.popitem()[1][1][1:] == ["33.2", "54.8", "58.2"]

    def test_no_name_breaks_the_table(self) -> None:
        names = ["a|b\\", "two\nlines", "*bold* <b>", "[x](y) `z`"]
        rows = evaluation_table([network(name, *linear(0.5)) for name in names]).splitlines()[-4:]
        assert [row.split(" | ")[0] for row in rows] == [
            "| **a\\|b\\\\**",
            "| **two lines**",
            "| **\\*bold\\* \\<b>**",
            "| **\\[x\\](y) \\`z\\`**",
        ]

    def test_networks_of_one_name_are_numbered(self) -> None:
        networks = [network("odc", *linear(v)) for v in (0.5, 0.6)]
        rows = tables(evaluation_table([*networks, network("x", *linear(0.1))])).popitem()[1][1:]
        assert rows == [["**odc #1**", "50.0"], ["**odc #2**", "**60.0**"], ["**x**", "10.0"]]

    def test_other_data_or_backbones_are_apart(self) -> None:
        networks = [
            network("a", *linear(0.5)),
            network("b", *linear(0.6), data="fashion_mnist"),
            network("c", *linear(0.7)),
            network("d", *linear(0.8), backbone="resnet18"),
        ]
        markdown = evaluation_table(networks)
        assert re.findall("^# .*|^\\| \\*.*", markdown, re.MULTILINE) == [
            "# Evaluation on digits, convnet",
            "| **a** | 50.0 |",
            "| **c** | **70.0** |",
            "# Evaluation on fashion_mnist, convnet",
            "| **b** | 60.0 |",
            "# Evaluation on digits, resnet18",
            "| **d** | 80.0 |",
        ]

    def test_a_protocol_that_is_not_known_has_a_table_too(self) -> None:
        scores = [Score("detection", "network", "ap50", 0.5, "24k"), *linear(0.5)]
        found = tables(evaluation_table([network("a", *scores)]))
        assert list(found) == ["Linear classifiers on frozen features: top-1 (%)", "detection"]
        assert found["detection"] == [
            ["method", "setting", "ap50 (%)"],
            ["**a**", "24k", "50.0"],
        ]


class TestTerminal:
    def printed(self, *evaluations: Evaluation, width: int = 80, colour: bool = False) -> str:
        console = Console(
            file=io.StringIO(),
            width=width,
            force_terminal=colour,
            color_system="standard" if colour else None,
        )
        print_evaluation(evaluations, console)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    def test_has_the_cells_of_the_markdown(self) -> None:
        scores = [*linear(0.1, 0.2, 0.3, 0.4, 0.5), Score("knn", "pooled", "top1", 0.7, "k=20")]
        a = network("a", *scores, data="imagenet", backbone="resnet50")
        a.skipped["svm"] = "one label an image"
        text = self.printed(a)
        lines = [line.split() for line in text.splitlines()]
        for rows in tables(evaluation_table([a])).values():
            for row in rows:
                assert " ".join(plain(row)).split() in lines
        assert "Nearest neighbours: top-1 (%)" in text
        assert "svm skipped: one label an image" in text

    def test_published_is_dim_and_the_best_is_bold(self) -> None:
        def imagenet(name: str, value: float) -> Evaluation:
            return network(name, *linear(value), data="imagenet", backbone="alexnet")

        text = self.printed(imagenet("a", 0.034), imagenet("b", 0.123), colour=True)
        for value, style in (("3.4", "0"), ("12.3", "1"), ("19.6", "2")):  # of a, b and ODC
            (line,) = (line for line in text.splitlines() if value in line)
            before = line.split(value)[0].rstrip()
            assert re.search(r"\x1b\[(\d*)m$", before)[1] == style  # type: ignore[index]

    def test_no_name_is_taken_for_markup(self) -> None:
        assert "[bold]a[/x]" in self.printed(network("[bold]a[/x]", *linear(0.5)))

    def test_a_narrow_terminal_has_spreads_below(self) -> None:
        shots = low_shot("conv5", "map", {2**i: 0.5 for i in range(8)})
        a = network("a", *shots, data="voc07", backbone="resnet50")
        assert "50.0 ± 1.0" in self.printed(a, width=160)
        text = self.printed(a, width=80)
        first, second = text.splitlines()[4:6]
        assert first.split() == ["a", "conv5", *["50.0"] * 9]
        assert second.split() == ["±1.0"] * 9
        assert max(map(len, text.splitlines())) <= 80


class TestResults:
    def test_round_trip(self, tmp_path: Path) -> None:
        a = network("a", *linear(0.5), *low_shot("conv5", "map", {1: 0.25}))
        a.skipped = {"svm": "one label an image"}
        write_results(tmp_path / "results.json", a, seconds=1.5, settings={"knn": {"k": [20]}})
        assert read_results(tmp_path / "results.json") == a
        assert {path.name for path in tmp_path.iterdir()} == {"results.json", SUMS}
        assert json.loads((tmp_path / "results.json").read_text()) == {
            "name": "a",
            "checkpoint": "a.ckpt",
            "backbone": "convnet",
            "data": "digits",
            "published": True,
            "scores": [
                {
                    "protocol": score.protocol,
                    "layer": score.layer,
                    "metric": score.metric,
                    "value": score.value,
                    "setting": score.setting,
                    "spread": score.spread,
                }
                for score in a.scores
            ],
            "skipped": {"svm": "one label an image"},
            "versions": package_versions(),
            "seconds": 1.5,
            "settings": {"knn": {"k": [20]}},
        }

    def test_nan_is_null(self, tmp_path: Path) -> None:
        a = network("a", Score("knn", "pooled", "top1", math.nan, "k=20", math.nan))
        write_results(tmp_path / "results.json", a, seconds=math.inf)

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} in the file")

        text = (tmp_path / "results.json").read_text()
        found = json.loads(text, parse_constant=refuse)
        assert (
            found["scores"][0]["value"] is found["scores"][0]["spread"] is found["seconds"] is None
        )
        (score,) = read_results(tmp_path / "results.json").scores
        assert math.isnan(score.value)
        assert score.spread is None

    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path) -> None:
        write_results(tmp_path / "results.json", network("a"))
        with pytest.raises(TypeError):
            write_results(tmp_path / "results.json", network("b"), settings={"k": object()})
        assert read_results(tmp_path / "results.json").name == "a"

    def test_facts_do_not_replace_scores(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"\['scores'\] are written from the evaluation"):
            write_results(tmp_path / "results.json", network("a"), scores=[], seconds=1.0)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ('{"train_loss": 1.2, "versions": {}}', "it has no name, checkpoint"),
            ("epoch,step\n", "Expecting value"),
            ("[1, 2]", "expected a results.json"),
            ("3", "expected a results.json"),
            (
                '{"name": "a", "checkpoint": "", "backbone": "", "data": "", "skipped": {}, '
                '"scores": [{"value": 1, "colour": "red"}]}',
                "colour",
            ),
        ],
    )
    def test_another_file(self, tmp_path: Path, text: str, reason: str) -> None:
        path = tmp_path / "summary.json"
        path.write_text(text)
        with pytest.raises(
            ValueError, match=r"summary\.json is not the result of an eval"
        ) as error:
            read_results(path)
        assert reason in str(error.value)


class TestLowShotFigure:
    def test_a_line_a_network(self) -> None:
        networks = [
            network("a", *low_shot("conv5", "map", CURVE, spread=0.02)),
            network("b", *low_shot("conv4", "map", {2: 0.3, 1: 0.2})),
            network("c", Score("svm", "conv5", "map", 0.5, "4 shots")),
            network("u", *low_shot("conv1", "map", CURVE), checkpoint="untrained"),
        ]
        (axes,) = build_figure(networks).axes
        first, second, untrained = axes.lines
        np.testing.assert_allclose(points(first), [[1, 30], [2, 40], [96, 70]])
        np.testing.assert_allclose(points(second), [[1, 20], [2, 30]])
        assert [text.get_text() for text in axes.texts] == ["a (conv5)", "b (conv4)", "u (conv1)"]
        assert to_hex(str(untrained.get_color())) == "#6b6b6b"
        assert axes.get_xscale() == "log"
        assert axes.get_xticks().tolist() == [1, 2, 96]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "96"]
        assert axes.get_title("left") == (
            "Low-shot linear SVMs on digits: mAP (%), mean ± standard deviation"
        )

    def test_the_spread_is_shaded(self) -> None:
        networks = [network("a", *low_shot("conv5", "map", CURVE, spread=0.02))]
        (axes,) = build_figure(networks).axes
        (band,) = axes.collections
        assert isinstance(band, PolyCollection)
        heights = np.unique(np.asarray(band.get_paths()[0].vertices)[:, 1].round(6))
        np.testing.assert_allclose(heights, [28, 32, 38, 42, 68, 72])

    def test_top1_comes_before_map_if_all_have_it(self) -> None:
        a = network("a", *low_shot("conv5", "map", CURVE))
        b = network("b", *low_shot("conv5", "map", CURVE))
        for evaluation, value in ((a, 0.9), (b, 0.8)):
            evaluation.scores += low_shot("conv5", "top1", {1: value})
        (axes,) = build_figure([a, b]).axes
        assert [points(line)[0, 1] for line in axes.lines] == [90, 80]
        del b.scores[4:]
        (axes,) = build_figure([a, b]).axes
        assert [points(line)[0, 1] for line in axes.lines] == [30, 30]

    def test_the_best_layer_is_drawn(self) -> None:
        scores = [*low_shot("conv4", "map", {1: 0.4, 2: 0.6}), *low_shot("conv5", "map", {1: 0.45})]
        (axes,) = build_figure(
            [network("a", *scores, Score("low_shot", "x", "map", math.nan))]
        ).axes
        (name,) = axes.texts
        assert name.get_text() == "a (conv4)"

    @pytest.mark.parametrize("metrics", [[], ["top1", "map"], ["nmi"]])
    def test_no_common_metric(self, metrics: list[str], tmp_path: Path) -> None:
        networks = [network(m, *low_shot("conv5", m, CURVE)) for m in metrics]
        with pytest.raises(ValueError, match="expected top1 or map of every network"):
            draw_low_shot([*networks, network("x", *linear(0.5))], tmp_path / "figure.png")
        assert not list(tmp_path.iterdir())

    def test_more_networks_than_colours(self) -> None:
        networks = [network(str(i), *low_shot("conv5", "map", CURVE)) for i in range(9)]
        (axes,) = build_figure(networks).axes
        assert len({(line.get_color(), line.get_marker()) for line in axes.lines}) == 9
        heights = sorted(text.xy[1] for text in axes.texts)  # type: ignore[attr-defined]
        bottom, top = axes.get_ylim()
        assert np.diff(heights).min() >= 0.0499 * (top - bottom)

    def test_spread_out(self) -> None:
        np.testing.assert_allclose(spread_out(np.array([5.0, 1, 5]), 2), [4, 1, 6])
        np.testing.assert_allclose(spread_out(np.array([9.0, 0]), 2), [9, 0])

    def test_picture(self, tmp_path: Path) -> None:
        networks = [network("a", *low_shot("conv5", "top1", CURVE))]
        draw_low_shot(networks, tmp_path / "low_shot.png")
        picture = matplotlib.image.imread(tmp_path / "low_shot.png")
        assert picture.shape == (576, 960, 4)
        assert picture.std() > 0.05


class TestScript:
    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return run_python(str(SCRIPT), *arguments, cwd=cwd)

    def test_tables_and_figure_of_files_and_folders(self, tmp_path: Path) -> None:
        networks = [
            network("a", *low_shot("conv5", "top1", {1: 0.5, 2: 0.6})),
            network("b", *low_shot("conv5", "top1", {1: 0.4, 2: 0.7})),
        ]
        for evaluation in networks:
            (tmp_path / evaluation.name).mkdir()
            write_results(tmp_path / evaluation.name / "results.json", evaluation)
        (tmp_path / "unfinished").mkdir()
        names = ["a", "unfinished", "b/results.json"]
        done = self.run(*names, "--figure", "low_shot.png", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout == evaluation_table(networks)
        assert done.stderr == (
            "unfinished: not a finished evaluation, there is no unfinished/results.json\n"
        )
        assert matplotlib.image.imread(tmp_path / "low_shot.png").std() > 0.05

    def test_another_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "summary.json").write_text("{}")
        done = self.run("summary.json", cwd=tmp_path)
        assert done.returncode == 2
        assert "summary.json is not the result of an evaluation" in done.stderr
        assert "Traceback" not in done.stderr

    def test_no_figure_without_low_shot_scores(self, tmp_path: Path) -> None:
        write_results(tmp_path / "results.json", network("a", *linear(0.5)))
        done = self.run(".", "--figure", "low_shot.png", cwd=tmp_path)
        assert done.returncode == 2
        assert "expected top1 or map" in done.stderr
        assert not (tmp_path / "low_shot.png").exists()
