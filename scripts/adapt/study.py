"""Run the whole study: ``python -m scripts.adapt.study STUDY --images FOLDER --weights FILE``.

FOLDER has a folder of images for each data set (`scripts.adapt.data`). Each run is a training and
its scores, in ``STUDY/runs/DATA/METHOD/RATE/SEED``; a finished run is not repeated, and an
interrupted one is resumed. Each process has one thread.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scripts.adapt.data import NAMES
from scripts.adapt.results import best_rate, read_scores
from scripts.adapt.runs import (
    FROZEN,
    RECIPE,
    RIVALS,
    SEEDS,
    TITLES,
    Budget,
    Run,
    describe,
    first_runs,
    other_seeds,
    overrides,
)
from scripts.adapt.scores import FILE

Execute = Callable[[Sequence[str], Path, int], None]


class Study:
    """All runs of the study, in one folder.

    Args:
        folder: to write.
        images: folder of the data sets' folders.
        settings: of all runs, by key of the config.
        recipe: of the recipe alone; its rivals follow its number of views.
        execute: runs a Python module with arguments; writes to a log; number of threads.
    """

    def __init__(
        self,
        folder: Path,
        images: Path,
        settings: dict[str, Any],
        recipe: dict[str, Any],
        execute: Execute,
    ) -> None:
        self.folder = folder
        self.images = images
        self.settings = settings
        self.recipe = recipe
        self.execute = execute

    def place(self, run: Run) -> Path:
        """The folder of a run."""
        return self.folder / "runs" / run.place

    def frozen(self, data: str) -> Path:
        """The folder of the frozen network's run."""
        return self.place(Run(data, FROZEN, None, SEEDS[0]))

    def finish(self, run: Run) -> None:
        """Train and score a run, unless it has scores."""
        place = self.place(run)
        if (place / FILE).is_file():
            return
        trains = run.method in RIVALS
        budget = Budget.of(self.frozen(run.data)) if trains else None
        print(f"{run.place}", flush=True)
        self.train(run, budget, place, 1)
        self.execute(
            ["scripts.adapt.scores", str(place), str(self.frozen(run.data))],
            place.with_name(f"{place.name}.log"),
            1,
        )

    def train(
        self, run: Run, budget: Budget | None, place: Path, threads: int, **more: Any
    ) -> None:
        """Train a run in a folder."""
        study = {
            **self.settings,
            **({} if run.method in RIVALS else self.recipe),
            "data.root": str((self.images / run.data).resolve()),
            "hydra.run.dir": str(place),
            **more,
        }
        place.parent.mkdir(parents=True, exist_ok=True)
        log = place.with_name(f"{place.name}.log")
        self.execute(["odc_lightning.train", *overrides(run, budget, study)], log, threads)

    def finish_all(self, runs: Sequence[Run], jobs: int) -> None:
        """Finish several runs, some at a time; the first error ends the study.

        Raises:
            SystemExit: a run failed.
        """
        with ThreadPoolExecutor(jobs) as pool:
            try:
                for done in [pool.submit(self.finish, run) for run in runs]:
                    done.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def best_runs(self, data: Sequence[str], methods: Sequence[str]) -> list[Run]:
        """The run with the best learning rate of each rival, by the first seed."""
        found = read_scores(self.folder / "runs")
        return [
            Run(name, method, best_rate(found, name, method), SEEDS[0])
            for name in data
            for method in RIVALS
            if method in methods
        ]

    def timed(self, data: str) -> None:
        """Run the recipe with its own settings on two cores, as ``odc train FOLDER`` does.

        The size of the images is the network's own, whatever that of the study.
        """
        place = self.folder / "timed" / data
        if (place / "summary.json").is_file():
            return
        size = {"data.image_size": None, "train.pages": True}
        self.train(Run(data, RECIPE, None, SEEDS[0]), None, place, 2, **size)


def execute(words: Sequence[str], log: Path, threads: int) -> None:
    """Run ``python -m`` with its output in a file.

    Raises:
        SystemExit: it failed.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with log.open("a", encoding="utf-8") as output:
        done = subprocess.run(
            [sys.executable, "-m", *words], stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    if done.returncode:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise SystemExit(f"{words[0]} failed, see {log}: {' '.join(last)}")


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, metavar="STUDY", help="output folder")
    parser.add_argument("--images", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--weights", required=True, help="model.pretrained: FILE or timm:NAME")
    parser.add_argument("--network", default="tf_efficientnet_lite0", help="timm's name of it")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--data", nargs="+", default=list(NAMES), help="names of data sets")
    parser.add_argument("--methods", nargs="+", default=list(TITLES), choices=list(TITLES))
    parser.add_argument(
        "--recipe", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the recipe"
    )
    parser.add_argument("--timed", metavar="DATA", help="data set of the run with a clock")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each")
    given = parser.parse_args(argv)
    missing = [name for name in given.data if not (given.images / name).is_dir()]
    if missing:
        parser.error(
            f"{given.images} has no {', '.join(missing)}; "
            "write them with python -m scripts.adapt.data NAME FOLDER"
        )
    settings = {
        "model": "timm",
        "model.backbone.name": given.network,
        "model.pretrained": given.weights,
        "data.image_size": given.image_size,
    }
    recipe = dict(each.split("=", 1) for each in given.recipe)
    study = Study(given.study, given.images, settings, recipe, execute)
    runs = first_runs(given.data, given.methods)
    frozen = [run for run in runs if run.method == FROZEN]
    study.finish_all(frozen, given.jobs)
    for run in frozen:
        print(f"{run.data}: {describe(Budget.of(study.place(run)))}", flush=True)
    study.finish_all([run for run in runs if run.method != FROZEN], given.jobs)
    for run in study.best_runs(given.data, given.methods):
        study.finish_all(other_seeds(run), given.jobs)
    if given.timed:
        study.timed(given.timed)


if __name__ == "__main__":
    main()
