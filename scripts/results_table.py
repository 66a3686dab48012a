"""Print finished runs as a Markdown table: ``python scripts/results_table.py RUN_DIR ...``."""

import argparse
import sys
from pathlib import Path

from odc_lightning.runs.summary import read_summary
from odc_lightning.utils.text import escape_markdown, printable

COLUMNS = (
    "run",
    "images",
    "clusters",
    "loss",
    "label-switch ratio",
    "kNN top-1 (untrained)",
    "NMI (untrained)",
    "images/s",
    "wall time (s)",
)


def row(run_dir: Path) -> list[str]:
    """The cells of one run, from its ``summary.json``."""
    summary = read_summary(run_dir / "summary.json")
    first, last = summary["label_switch_ratio_first"], summary["label_switch_ratio_last"]
    return [
        escape_markdown(f"{run_dir.parent.name}/{run_dir.name}"),
        f"{summary['num_samples']:,}",
        f"{summary['num_clusters']:,}",
        _number(summary["train_loss"], 2),
        f"{_number(first, 2)} → {_number(last, 2)}",
        f"{_number(summary['knn_top1'], 3)} ({_number(summary['untrained']['knn_top1'], 3)})",
        f"{_number(summary['nmi'], 3)} ({_number(summary['untrained']['nmi'], 3)})",
        _number(summary["images_per_second"], 0),
        _number(summary["wall_seconds"], 0),
    ]


def table(run_dirs: list[Path]) -> str:
    """A Markdown table with one row per finished run; other runs are reported on stderr."""
    finished = [path for path in run_dirs if (path / "summary.json").is_file()]
    for path in sorted(set(run_dirs) - set(finished)):
        print(f"{printable(path)}: not a finished run, it has no summary.json", file=sys.stderr)
    rows = [list(COLUMNS), ["---"] * len(COLUMNS), *(row(run_dir) for run_dir in finished)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_dirs", nargs="+", type=Path, metavar="RUN_DIR")
    print(table(parser.parse_args().run_dirs))
