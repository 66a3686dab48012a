"""Find the inputs of a report: runs, evaluations, cluster pages."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odc_lightning.checkpoints import read_plain_yaml
from odc_lightning.metrics.scores import UNTRAINED, Evaluation
from odc_lightning.runs.metrics_csv import Series, read_metrics
from odc_lightning.runs.results import read_results
from odc_lightning.runs.summary import Summary, read_summary

# Folders of a run that are not searched for runs.
# `start` has the network before training; it is in a report if its folder is given.
NO_RUNS = {".hydra", "checkpoints", "reference", "start", "wandb", "tensorboard"}
SHEET = "contact_sheet.png"
MAX_WARNINGS = 20
# In the format of Hydra's job_logging.
WARNING = re.compile(r"^\[[^\]]*\]\[[^\]]*\]\[WARNING\] - (.+)", re.MULTILINE)


@dataclass(frozen=True)
class FoundRun:
    """A training run, finished or not.

    Attributes:
        folder: its folder.
        config: ``config.yaml`` of the run.
        summary: None if the run has not finished.
        metrics: empty if none were logged.
        warnings: from the run's logs, each once.
    """

    folder: Path
    config: dict[str, Any]
    summary: Summary | None = None
    metrics: dict[str, Series] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name in the config, or that of the folder."""
        return str(self.config.get("name") or self.folder.name)

    def has_made(self, folder: Path, checkpoint: str) -> bool:
        """Whether an evaluation in this folder, of this checkpoint, belongs to this run."""
        own = self.folder.resolve()
        places = [folder.resolve(), *([] if checkpoint == UNTRAINED else [Path(checkpoint)])]
        return any(own == place or own in place.resolve().parents for place in places)


@dataclass
class ReportInputs:
    """Inputs of a report, in the order of the folders.

    Attributes:
        runs: training runs.
        evaluations: folder and scores.
        cluster_pages: folders with a contact sheet.
        problems: a line about each folder that could not be read.
    """

    runs: list[FoundRun] = field(default_factory=list)
    evaluations: list[tuple[Path, Evaluation]] = field(default_factory=list)
    cluster_pages: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def find_runs(folders: Sequence[Path]) -> ReportInputs:
    """Search folders, each of a run, an evaluation or a cluster page, or above some.

    Raises:
        ValueError: one of them is not a folder, or all of them have no inputs.
    """
    found = ReportInputs()
    seen: set[Path] = set()
    for given in folders:
        if not given.is_dir():
            raise ValueError(
                f"{given} is not a folder; expected that of a run, of a sweep or of an evaluation"
            )
        for folder in _below(given):
            if folder.resolve() not in seen:
                seen.add(folder.resolve())
                _look(folder, found)
    if not (found.runs or found.evaluations or found.cluster_pages):
        raise ValueError(
            f"found no run in {', '.join(map(str, folders))}: no folder there has a config.yaml "
            "beside a metrics.csv or summary.json, nor a results.json. Give the folder of a run, "
            "or one above it" + "".join(f"; {problem}" for problem in found.problems)
        )
    return found


def _below(folder: Path) -> Iterator[Path]:
    for path, below, files in os.walk(folder):
        # Beside a contact sheet are the many files of its page.
        below[:] = [] if SHEET in files else sorted(set(below) - NO_RUNS, key=_natural)
        yield Path(path)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key by which 10 comes after 9."""
    parts = re.split(r"(\d+)", name)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def _look(folder: Path, found: ReportInputs) -> None:
    is_run = (folder / "config.yaml").is_file() and any(
        (folder / name).is_file() for name in ("metrics.csv", "summary.json")
    )
    try:
        if (folder / "results.json").is_file():
            found.evaluations.append((folder, read_results(folder / "results.json")))
        elif is_run:
            found.runs.append(read_run(folder))
    except (ValueError, OSError) as error:
        found.problems.append(f"{folder}: {error}")
    if (folder / SHEET).is_file():
        found.cluster_pages.append(folder)


def read_run(folder: Path) -> FoundRun:
    """Read the output of a run so far.

    Raises:
        ValueError: a file is invalid.
    """
    summary, metrics = folder / "summary.json", folder / "metrics.csv"
    return FoundRun(
        folder,
        read_plain_yaml(folder / "config.yaml"),
        read_summary(summary) if summary.is_file() else None,
        read_metrics(metrics) if metrics.is_file() else {},
        tuple(_warnings(folder)),
    )


def _warnings(folder: Path) -> list[str]:
    text = "\n".join(
        file.read_text(encoding="utf-8", errors="replace") for file in sorted(folder.glob("*.log"))
    )
    return list(dict.fromkeys(WARNING.findall(text)))[:MAX_WARNINGS]
