"""The last lines that a run prints."""

import math
import shlex
from pathlib import Path

from odc_lightning.runs.summary import Summary
from odc_lightning.utils.text import printable, quantity
from odc_lightning.utils.timing import format_duration

PAGE = "clusters/index.html"
CONTENTS = {
    "start/clusters/index.html": "the clusters before training, on a page",
    PAGE: "the clusters, on a page",
    "clusters.csv": "the cluster of every file",
    "curves.png": "loss, label switches and cluster sizes over the run",
    "checkpoints/best.ckpt": "the network and clustering that the run ends with",
    "checkpoints/last.ckpt": "network and clustering, to resume from or to evaluate",
}


def chance_name(chance: float, num_clusters: int) -> str:
    """``chance, ln C`` if it is ln C, as for equally frequent targets; else ``chance``."""
    return "chance, ln C" if math.isclose(chance, math.log(num_clusters)) else "chance"


def closing_lines(summary: Summary, run_dir: Path | str, has_features: bool = True) -> str:
    """The results of a run, the files in its folder and commands for them, as plain text.

    Args:
        summary: of the run; lines with unknown values are left out.
        run_dir: the run's folder; only existing files are listed.
        has_features: whether the run keeps features of its images, which `odc clusters` needs.
    """
    folder = Path(run_dir)
    blocks = [_scores(summary), _course(summary), _kept(summary), _files(folder)]
    if summary["targets"] == "clusters":
        blocks.append(_commands(folder, has_features))
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _scores(summary: Summary) -> list[str]:
    """Scores before and after training; empty without labels."""
    untrained = summary["untrained"]
    rows = [
        ("kNN top-1", _percent(untrained["knn_top1"]), _percent(summary["knn_top1"])),
        ("NMI", _decimal(untrained["nmi"], 3), _decimal(summary["nmi"], 3)),
    ]
    known = [row for row in rows if row[1:] != ("-", "-")]
    before = "untrained network" if summary["pretrained"] is None else "starting network"
    header = [("", before, "this run")] if known else []
    return [f"{name:<20}{before:>17}{after:>12}" for name, before, after in header + known]


def _course(summary: Summary) -> list[str]:
    """The course of the training, one name and value per line."""
    first, last = summary["label_switch_ratio_first"], summary["label_switch_ratio_last"]
    clusters, loss, rate = (
        summary["num_clusters"],
        summary["train_loss"],
        summary["images_per_second"],
    )
    targets = summary["targets"].removesuffix("s") if clusters == 1 else summary["targets"]
    rows = [("data", f"{quantity(summary['num_samples'], 'image')} in {clusters:,} {targets}")]
    if loss is not None:
        chance = summary["chance_loss"]
        rows.append(("loss", f"{loss:.2f} ({chance_name(chance, clusters)}: {chance:.2f})"))
    if first is not None or last is not None:
        rows.append(("label-switch ratio", f"{_decimal(first, 2)} -> {_decimal(last, 2)}"))
    if rate is not None:
        rows.append(("speed", f"{rate:,.0f} images/s"))
    rows.append(("wall time", format_duration(summary["wall_seconds"])))
    return [f"{name:<20}{value}" for name, value in rows]


def _kept(summary: Summary) -> list[str]:
    """Which state the guard kept; empty without it."""
    epoch, start = summary["kept_epoch"], _decimal(summary["start_criterion"], 3)
    if epoch is None:
        return []
    if epoch == 0:
        reason = (
            "Nothing was trained: too few augmented views find their own image (see the warning)"
            if summary["steps"] == 0
            else f"No epoch was better than the start (criterion {start})"
        )
        return [f"{reason}.", "The run ends with the network that it started from."]
    kept = _decimal(summary["kept_criterion"], 3)
    return [f"{'kept':<20}epoch {epoch}, criterion {start} -> {kept}"]


def _files(run_dir: Path) -> list[str]:
    """The run's folder and its files."""
    existing = {name: text for name, text in CONTENTS.items() if (run_dir / name).exists()}
    if {"checkpoints/best.ckpt", "checkpoints/last.ckpt"} <= existing.keys():
        existing["checkpoints/last.ckpt"] = "the state after the last step, to resume from"
    width = max((len(name) + 2 for name in existing), default=0)
    return [
        f"{printable(run_dir)}/",
        *(f"  {name:<{max(24, width)}}{text}" for name, text in existing.items()),
    ]


def _commands(run_dir: Path, has_features: bool) -> list[str]:
    """Where the page is, and commands for the clusters, as they are written in a shell."""
    name = str(run_dir)
    has_page = (run_dir / PAGE).exists()
    rows = [("page", printable(run_dir / PAGE))] if has_page else []
    # A name with escaped characters cannot be pasted.
    if (run_dir / "checkpoints" / "last.ckpt").exists() and printable(name) == name:
        word = shlex.quote(name)
        if has_features:
            rows.append(("name clusters", f"odc clusters {word} serve=true"))
        rows.append(("other images", f"odc assign {word} FOLDER"))
    return [f"{title:<20}{value}" for title, value in rows]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _decimal(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
