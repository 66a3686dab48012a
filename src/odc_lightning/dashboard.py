"""The W&B dashboard as code: ``python -m odc_lightning.dashboard --entity NAME``.

``--print`` shows the definition and needs neither an account nor an internet connection.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from odc_lightning.callbacks.monitors.cluster_media import GALLERY, SHEET
from odc_lightning.cli.arguments import OneLineParser
from odc_lightning.runs.wandb_run import STEP, summary_key
from odc_lightning.utils.text import error_text

try:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws
except ImportError:  # an extra; `main` reports it
    ws = None

PROJECT = "odc-lightning"  # as in conf/logger/wandb.yaml
NAME = "Online Deep Clustering"
# Title, x-axis and metrics of each plot. Metrics of whole epochs are plotted over epochs.
STABILITY = (
    ("Label-switch ratio", STEP, ["odc/label_switch_ratio"]),
    ("Centroid drift", "epoch", ["odc/centroid_drift"]),
    ("NMI with the previous epoch's clusters", "epoch", ["odc/nmi_previous_epoch"]),
)
BALANCE = (
    ("Smallest and largest cluster", STEP, ["odc/cluster_size_min", "odc/cluster_size_max"]),
    ("Entropy of the cluster sizes", STEP, ["odc/cluster_entropy"]),
    ("Empty clusters", STEP, ["odc/empty_clusters"]),
    ("Clusters split at a step", STEP, ["odc/small_clusters_split"]),
)
QUALITY = (
    ("kNN and online probe, top-1", "epoch", ["eval/knn_top1", "eval/online_probe_top1"]),
    ("NMI with the classes", "epoch", ["eval/nmi"]),
    ("Effective rank of the features", "epoch", ["train/feature_rank"]),
    ("Training loss", STEP, ["train/loss"]),
)
LOGARITHMIC = ("Smallest and largest cluster",)
# Settings that sweeps usually vary, and the metrics to compare.
SWEPT = (
    "algorithm.num_clusters",
    "algorithm.samples_memory.momentum",
    "algorithm.centroid_refresh.every_n_steps",
    "algorithm.small_clusters.threshold",
    "optimizer.lr",
    "data.batch_size",
)
OUTCOMES = ("odc/label_switch_ratio", "eval/nmi", "eval/knn_top1")


def build(entity: str, project: str = PROJECT, name: str = NAME) -> Any:
    """The dashboard, as a `Workspace` that is not saved yet.

    Args:
        entity: the user or team that owns the project.
        project: the project whose runs are shown.
        name: the dashboard's name.
    """
    columns = [f"summary:{summary_key(metric)}" for metric in OUTCOMES]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[
            _section("Stability", _lines(STABILITY)),
            _section("Balance", _lines(BALANCE)),
            _section("Quality", _lines(QUALITY)),
            _section("Clusters", _media(), columns=2, rows=1),
            _section("Sweeps", _sweeps(), columns=2),
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=20),
        runset_settings=ws.RunsetSettings(
            groupby=[ws.Metric("Group")],
            pinned_columns=["run:displayName", "run:state", *columns],
        ),
    )


def definition(workspace: Any) -> dict[str, Any]:
    """The definition that is sent to W&B, without its random ids."""
    spec = workspace._to_model().spec.model_dump(by_alias=True, exclude_none=True, mode="json")
    return _without_ids(spec)


def metrics() -> set[str]:
    """The logged names of all metrics that the dashboard shows."""
    plots = (*STABILITY, *BALANCE, *QUALITY)
    return {metric for _, _, shown in plots for metric in shown} | set(OUTCOMES)


def _section(name: str, panels: Sequence[Any], columns: int = 2, rows: int = 2) -> Any:
    layout = ws.SectionLayoutSettings(columns=columns, rows=rows)
    return ws.Section(name=name, panels=list(panels), is_open=True, layout_settings=layout)


def _lines(plots: Sequence[tuple[str, str, list[str]]]) -> list[Any]:
    return [
        wr.LinePlot(title=title, x=x, y=y, log_y=title in LOGARITHMIC or None)
        for title, x, y in plots
    ]


def _media() -> list[Any]:
    return [
        wr.MediaBrowser(title="Contact sheet", media_keys=[SHEET], num_columns=1),
        wr.MediaBrowser(title="Gallery", media_keys=[GALLERY], num_columns=1),
    ]


def _sweeps() -> list[Any]:
    columns = [wr.ParallelCoordinatesPlotColumn(metric=wr.Config(key)) for key in SWEPT]
    columns += [
        wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(summary_key(metric)))
        for metric in OUTCOMES
    ]
    scores = [summary_key(metric) for metric in OUTCOMES if metric.startswith("eval/")]
    return [
        wr.ParallelCoordinatesPlot(title="Settings and results", columns=columns),
        *(wr.ParameterImportancePlot(with_respect_to=score) for score in scores),
    ]


def _without_ids(node: Any) -> Any:
    if isinstance(node, dict):
        ids = {"__id__", "id"}
        return {key: _without_ids(child) for key, child in node.items() if key not in ids}
    return [_without_ids(child) for child in node] if isinstance(node, list) else node


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = OneLineParser(
        prog="python -m odc_lightning.dashboard",
        description="Create the Weights & Biases dashboard that this project defines in code.",
    )
    parser.add_argument("--entity", help="user or team in W&B that owns the project")
    parser.add_argument(
        "--project", default=PROJECT, help="project whose runs are shown; default: %(default)s"
    )
    parser.add_argument("--name", default=NAME, help="name of the dashboard; default: %(default)s")
    parser.add_argument(
        "--print", action="store_true", help="print the definition and save nothing"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    options = parse(arguments)
    if ws is None:
        sys.exit(
            "error: the dashboard needs an extra that is not installed: "
            "pip install 'odc-lightning[dashboard]'"
        )
    if options.print:
        printed = definition(build(options.entity or "", options.project, options.name))
        print(json.dumps(printed, indent=2))
        return
    if options.entity is None:
        sys.exit(
            "error: no --entity; add --entity NAME, the user or team in W&B that owns the "
            "project, or --print to print the definition and save nothing"
        )
    import wandb

    try:
        build(options.entity, options.project, options.name).save()
    except wandb.errors.Error as error:
        message = (
            f"the dashboard was not saved: {error} Saving needs a W&B account: run `wandb "
            "login` or set WANDB_API_KEY. --print prints the definition without an account"
        )
        sys.exit(error_text(message))


if __name__ == "__main__":
    main()
