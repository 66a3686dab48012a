"""The tables of an evaluation, for Markdown and for a terminal."""

from collections import Counter
from collections.abc import Iterable, Sequence

from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.reporting.tables.published import PublishedScore, published_scores
from odc_lightning.reporting.tables.score_table import ScoreTable, Source, build_table
from odc_lightning.reporting.tables.score_text import metric_text

# Title of each protocol's tables, and the fields of a score that its columns stand for. Unless the
# metric is one of them, every metric has a table of its own.
PROTOCOLS = {
    "linear": ("Linear classifiers on frozen features", ("layer",)),
    "svm": ("Linear SVMs on frozen features", ("layer",)),
    "low_shot": ("Linear SVMs, by positive examples per class", ("setting",)),
    "knn": ("Nearest neighbours", ("setting",)),
    "clustering": ("Clusters beside the classes", ("metric",)),
    "semi_supervised": ("Fine-tuning with few labels: accuracy (%)", ("setting", "metric")),
}
# Table 4 is about networks that were fine-tuned from others, which compare with none that was not.
FINE_TUNED = "4"
# What holds for all published values of a protocol.
REMARKS = {"low_shot": ("the reference code chooses the cost on the test images",)}


def group_evaluations(evaluations: Iterable[Evaluation]) -> list[list[Evaluation]]:
    """Evaluations grouped by data set and backbone; only scores of one group compare."""
    groups: dict[tuple[str, str, bool], list[Evaluation]] = {}
    for evaluation in evaluations:
        key = (evaluation.data, evaluation.backbone, evaluation.published)
        groups.setdefault(key, []).append(evaluation)
    return list(groups.values())


def unique_names(evaluations: Sequence[Evaluation]) -> list[str]:
    """Names of the networks; names that occur more than once are numbered."""
    total = Counter(evaluation.name for evaluation in evaluations)
    seen: Counter[str] = Counter()
    names = []
    for name in (evaluation.name for evaluation in evaluations):
        seen[name] += 1
        names.append(f"{name} #{seen[name]}" if total[name] > 1 else name)
    return names


def score_tables(group: Sequence[Evaluation]) -> list[ScoreTable]:
    """All tables of networks that share data and backbone.

    Args:
        group: one of `group_evaluations`.
    """
    measured = [score.protocol for evaluation in group for score in evaluation.scores]
    known = [protocol for protocol in PROTOCOLS if protocol in measured]
    return [
        table for protocol in dict.fromkeys(known + measured) for table in _tables(protocol, group)
    ]


def skipped_protocols(group: Sequence[Evaluation]) -> list[tuple[str, str]]:
    """Protocol and reason, with the names of the networks if not all skipped it."""
    names: dict[tuple[str, str], list[str]] = {}
    for name, evaluation in zip(unique_names(group), group, strict=True):
        for skipped in evaluation.skipped.items():
            names.setdefault(skipped, []).append(name)
    return [
        (protocol, reason if len(who) == len(group) else f"{reason} ({', '.join(who)})")
        for (protocol, reason), who in names.items()
    ]


def _tables(protocol: str, group: Sequence[Evaluation]) -> list[ScoreTable]:
    """The tables of one protocol."""
    sources = [
        Source(name, [score for score in evaluation.scores if score.protocol == protocol])
        for name, evaluation in zip(unique_names(group), group, strict=True)
    ]
    metrics = list(dict.fromkeys(score.metric for source in sources for score in source.scores))
    sources += _published(group[0].backbone, group[0].benchmark(protocol), protocol)
    title, columns = PROTOCOLS.get(protocol, (protocol, ("metric",)))
    if "metric" in columns:
        return [build_table(title, columns, sources)]
    return [
        build_table(
            f"{title}: {metric_text(metric)}",
            columns,
            [
                source._replace(scores=[s for s in source.scores if s.metric == metric])
                for source in sources
            ],
        )
        for metric in metrics
    ]


def _published(backbone: str, benchmark: str, protocol: str) -> list[Source]:
    """The scores of each method in each published table."""
    methods: dict[tuple[str, str], list[PublishedScore]] = {}
    for score in published_scores(backbone, benchmark):
        if score.table != FINE_TUNED:
            table = "model zoo" if score.table == "zoo" else f"Table {score.table}"
            methods.setdefault((score.method, table), []).append(score)
    return [
        Source(
            method,
            [Score(protocol, s.layer, s.metric, s.value / 100, s.setting) for s in scores],
            table,
            (*dict.fromkeys(s.note for s in scores if s.note), *REMARKS.get(protocol, ())),
        )
        for (method, table), scores in methods.items()
    ]
