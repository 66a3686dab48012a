"""Run the whole study: ``python -m scripts.named.study STUDY --images FOLDER``.

FOLDER has a folder for each data set (`scripts.named.data`). Each run is a training, without names
or with those of a table, and its scores, in ``STUDY/runs/DATA/NAMED/SEED``. A finished run is not
repeated, and an interrupted one is resumed. Each process has one thread.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from scripts.adapt.runs import CONF
from scripts.adapt.study import Execute, execute
from scripts.named.data import NAMES, NUM_NAMED, SEEDS
from scripts.named.scores import FILE

FROZEN, NONE = "frozen", "none"


class Run(NamedTuple):
    """One run.

    Attributes:
        data: name of the images.
        named: how many images of a class have names; `NONE`; or `FROZEN`, which trains nothing.
        seed: of the names and of everything random.
    """

    data: str
    named: str
    seed: int

    @property
    def place(self) -> Path:
        """The run's folder in that of all runs."""
        return Path(self.data, self.named, str(self.seed))

    @staticmethod
    def at(place: Path) -> "Run":
        """The run of a folder whose path ends in `place`."""
        data, named, seed = place.parts[-3:]
        return Run(data, named, int(seed))


def all_runs(data: Sequence[str], num_named: Sequence[int], seeds: Sequence[int]) -> list[Run]:
    """All runs, in the order in which they are done: every question is first answered by one seed.

    Args:
        data: names of the images.
        num_named: images of each class that have names.
        seeds: of the runs; the frozen network has the first only, and the names of all.
    """
    runs = [Run(name, FROZEN, seeds[0]) for name in data]
    kinds = (NONE, *map(str, num_named))
    return runs + [Run(name, kind, seed) for seed in seeds for name in data for kind in kinds]


def overrides(run: Run, images: Path, place: Path, study: Sequence[str]) -> list[str]:
    """The command line of a training, after ``python -m odc_lightning.train``.

    Args:
        run: to train.
        images: folder of its data.
        place: the run's folder.
        study: settings of all runs.
    """
    folder = images.resolve()
    words = [
        "experiment=odc_adapt",
        "data=adapt_images",
        f"hydra.searchpath=['file://{CONF}']",
        f"data.root='{folder / 'train'}'",
        f"hydra.run.dir='{place}'",
        f"seed={run.seed}",
        "train.resume=auto",
        "train.pages=false",
        "callbacks.label_scores.knn=false",  # a pass over all images in each epoch
        "callbacks.keep_best.min_view_retrieval=0",  # else solar cells train nothing
        "trainer.accelerator=cpu",
        *study,
    ]
    if run.named == FROZEN:
        words.append("train.only_start=true")
    elif run.named != NONE:
        words.append(f"labels='{table_of(run.named, run.seed, folder)}'")
    return words


def table_of(named: str | int, seed: int, images: Path) -> Path:
    """The table of names of a run."""
    return images / "labels" / f"{named}_{seed}.csv"


def tables_of(run: Run, images: Path, num_named: Sequence[int], seeds: Sequence[int]) -> list[Path]:
    """The tables that a run is scored with: its own, or those of its seed, or all."""
    if run.named not in (FROZEN, NONE):
        return [table_of(run.named, run.seed, images)]
    used = seeds if run.named == FROZEN else (run.seed,)
    return [table_of(number, seed, images) for seed in used for number in num_named]


def finish(
    run: Run,
    study: Path,
    images: Path,
    settings: Sequence[str],
    num_named: Sequence[int],
    seeds: Sequence[int],
    run_module: Execute,
) -> None:
    """Train and score a run, unless it has scores."""
    place = study / "runs" / run.place
    if (place / FILE).is_file():
        return
    print(run.place, flush=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    log, own = place.with_name(f"{place.name}.log"), images / run.data
    run_module(["odc_lightning.train", *overrides(run, own, place, settings)], log, 1)
    tables = map(str, tables_of(run, own, num_named, seeds))
    scores = ["scripts.named.scores", str(place), "--test", str(own / "test"), "--labels", *tables]
    run_module(scores, log, 1)


def main(argv: Sequence[str] | None = None, run_module: Execute = execute) -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, metavar="STUDY", help="output folder")
    parser.add_argument("--images", type=Path, required=True, help="folder of the data sets")
    parser.add_argument(
        "--settings", nargs="*", default=[], metavar="KEY=VALUE", help="of all runs"
    )
    parser.add_argument("--data", nargs="+", default=list(NAMES), help="names of data sets")
    parser.add_argument("--named", nargs="+", type=int, default=list(NUM_NAMED), metavar="N")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS), metavar="SEED")
    parser.add_argument("--jobs", type=int, default=2, help="processes of one thread each")
    given = parser.parse_args(argv)
    missing = [name for name in given.data if not (given.images / name).is_dir()]
    if missing:
        parser.error(
            f"{given.images} has no {', '.join(missing)}; "
            "write them with python -m scripts.named.data NAME FOLDER"
        )
    runs = all_runs(given.data, given.named, given.seeds)
    shared = (given.study, given.images, given.settings, given.named, given.seeds, run_module)
    with ThreadPoolExecutor(given.jobs) as pool:
        try:
            for done in [pool.submit(finish, run, *shared) for run in runs]:
                done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


if __name__ == "__main__":
    main()
