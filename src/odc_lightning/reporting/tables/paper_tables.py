"""The paper's Tables 1 to 4, with measured scores below the published ones."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.reporting.tables.fine_tuning import METHODS as METHODS_OF_TABLE_4
from odc_lightning.reporting.tables.fine_tuning import STARTS
from odc_lightning.reporting.tables.markdown import markdown_table, mean_and_spread
from odc_lightning.reporting.tables.published import PublishedScore, published_scores
from odc_lightning.reporting.tables.score_text import UNKNOWN
from odc_lightning.utils.text import escape_markdown

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
# Of the methods of the paper's tables those that this project has too.
METHODS = ("ImageNet labels", "Places labels", "Random", "DeepCluster", "ODC")

SHORT = {"Colorization": "Col.", "Jigsaw": "Jig.", "Rotation": "Rot.", "DeepCluster": "DC"}


class PaperTable(NamedTuple):
    """One table of the paper.

    Attributes:
        title: of the table.
        backbone: of the networks.
        benchmarks: data and protocol -> heading.
    """

    title: str
    backbone: str
    benchmarks: Mapping[str, str]


LINEAR = {"imagenet_linear": "ImageNet", "places205_linear": "Places205"}
TABLES = {
    "1": PaperTable("Table 1: linear classifiers on AlexNet, top-1 (%)", "alexnet", LINEAR),
    "2": PaperTable("Table 2: linear classifiers on ResNet-50, top-1 (%)", "resnet50", LINEAR),
    "3": PaperTable(
        "Table 3: SVMs and low-shot SVMs, mAP (%)",
        "resnet50",
        {"voc07_svm": "VOC07", "voc07_low_shot": "VOC07, low-shot"},
    ),
}


def paper_tables(evaluations: Sequence[Evaluation]) -> str:
    """Tables 1 to 3 as Markdown.

    A network with the table's backbone and data has a row in the paper's table. Networks on other
    data are in a table below it, with their own layers.

    Args:
        evaluations: finished ones. Evaluations of one name are seeds; their mean and standard
            deviation are shown.
    """
    blocks = []
    for number, table in TABLES.items():
        own = [e for e in evaluations if e.published and e.backbone == table.backbone]
        blocks.append(f"### {table.title}")
        rows = _published_rows(number, table) + _own_rows(table, own)
        blocks.append(markdown_table(["", *_columns(table)], rows))
    others = [e for e in evaluations if not e.published]
    for protocol, title in (
        ("linear", "In place of Tables 1 and 2: linear classifiers"),
        ("low_shot", "In place of Table 3: low-shot SVMs"),
    ):
        blocks += _small(protocol, title, others)
    return "\n\n".join(blocks) + "\n"


def published_table_4() -> str:
    """Table 4 as published, as Markdown."""
    found: dict[tuple[str, str], str] = {}
    for score in published_scores("resnet50", "voc07_svm"):
        if score.table == "4":
            method, joined, start = score.method.partition(" from ")
            method, start = (SHORT.get(method, method), start) if joined else ("original", method)
            found[method, SHORT[start]] = f"{score.value:.1f}"
    starts, methods = STARTS.values(), METHODS_OF_TABLE_4.values()
    rows = [[method, *(found[method, start] for start in starts)] for method in methods]
    return markdown_table(["", *starts], rows)


def grouped(evaluations: Sequence[Evaluation]) -> dict[str, list[Evaluation]]:
    """Evaluations grouped by name, in the order of the first of each."""
    groups: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(evaluation.name, []).append(evaluation)
    return groups


def mean_scores(
    evaluations: Sequence[Evaluation], protocol: str
) -> dict[tuple[str, str, str], list[float]]:
    """(layer, setting, metric) -> one value in percent for each evaluation that has it."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for evaluation in evaluations:
        for score in evaluation.scores:
            if score.protocol == protocol and math.isfinite(score.value):
                key = score.layer, score.setting, score.metric
                found.setdefault(key, []).append(100 * score.value)
    return found


def _columns(table: PaperTable) -> list[str]:
    if set(table.benchmarks) == set(LINEAR):
        return [f"{data} {layer}" for data in table.benchmarks.values() for layer in LAYERS]
    return list(table.benchmarks.values())


def _published_rows(number: str, table: PaperTable) -> list[list[str]]:
    rows = []
    scores = [
        score
        for benchmark in table.benchmarks
        for score in published_scores(table.backbone, benchmark)
        if score.table == number
    ]
    for method in METHODS:
        of_it = [score for score in scores if score.method == method]
        if of_it:
            rows.append([f"{method} (paper)", *(_published(of_it, key) for key in _keys(table))])
    return rows


def _published(scores: Sequence[PublishedScore], key: tuple[str, str]) -> str:
    benchmark, layer = key
    values = [s.value for s in scores if s.benchmark == benchmark and layer in ("", s.layer)]
    return f"{values[0]:.1f}" if values else UNKNOWN


def _own_rows(table: PaperTable, evaluations: Sequence[Evaluation]) -> list[list[str]]:
    return [
        [f"**{escape_markdown(name)}** (here)", *(_own(group, key) for key in _keys(table))]
        for name, group in grouped(evaluations).items()
    ]


def _own(group: Sequence[Evaluation], key: tuple[str, str]) -> str:
    """Mean over seeds; without a layer, of the best layer, as in the paper."""
    benchmark, layer = key
    protocol = benchmark.partition("_")[2]
    metric = "top1" if protocol == "linear" else "map"
    of_data = [e for e in group if e.benchmark(protocol) == benchmark]
    found = {
        where: values
        for (where, setting, which), values in mean_scores(of_data, protocol).items()
        if which == metric and setting in ("", "mean") and layer in ("", where)
    }
    return mean_and_spread(max(found.values(), key=statistics.fmean)) if found else UNKNOWN


def _keys(table: PaperTable) -> list[tuple[str, str]]:
    layers = LAYERS if set(table.benchmarks) == set(LINEAR) else ("",)
    return [(benchmark, layer) for benchmark in table.benchmarks for layer in layers]


def _small(protocol: str, title: str, evaluations: Sequence[Evaluation]) -> list[str]:
    """A table for each data set and backbone, with the protocol's first metric."""
    blocks = []
    groups: dict[tuple[str, str], list[Evaluation]] = {}
    for evaluation in evaluations:
        if any(score.protocol == protocol for score in evaluation.scores):
            groups.setdefault((evaluation.data, evaluation.backbone), []).append(evaluation)
    for (data, backbone), group in groups.items():
        scores = [s for e in group for s in e.scores if s.protocol == protocol]
        metric = scores[0].metric
        name = {"top1": "top-1 (%)", "map": "mAP (%)"}.get(metric, metric)
        columns = list(dict.fromkeys(_column(s) for s in scores if s.metric == metric))
        rows = []
        for method, seeds in grouped(group).items():
            means = mean_scores(seeds, protocol)
            cells = [means.get((*column, metric), []) for column in columns]
            rows.append(
                [escape_markdown(method), *(mean_and_spread(c) if c else UNKNOWN for c in cells)]
            )
        heads = [escape_markdown(setting or layer) for layer, setting in columns]
        blocks.append(escape_markdown(f"### {title} on {data}, {backbone}, {name}"))
        blocks.append(markdown_table(["", *heads], rows))
    return blocks


def _column(score: Score) -> tuple[str, str]:
    return score.layer, score.setting
