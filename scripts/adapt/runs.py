"""The runs of the study: which there are, their commands, and the folder of each.

A run is a method with a learning rate and a seed on a data set. Its folder is
``STUDY/runs/DATA/METHOD/RATE/SEED``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from odc_lightning.checkpoints import read_run_config
from odc_lightning.data.held_back import num_held_back
from odc_lightning.utils.text import quantity

FROZEN, RECIPE = "frozen", "recipe"
RIVALS = ("odc", "dc", "dcv2", "simclr", "swav")
TITLES = {
    FROZEN: "frozen network",
    RECIPE: "the recipe",
    "odc": "ODC as in Table 4",
    "dc": "DeepCluster",
    "dcv2": "DeepCluster-v2",
    "simclr": "SimCLR",
    "swav": "SwAV",
}
# Of a rival, for a batch of 32 images and in proportion to its size, as in the recipe.
RATES = (0.0003, 0.001, 0.003)
SEEDS = (0, 1, 2)
ONE_VIEW = ("odc", "dc")
WITH_MEMORY = ("odc",)  # `data.held_back` needs the samples memory

CONF = Path(__file__).parent / "conf"
HEADS = Path(__file__).parents[1] / "small_data" / "conf"  # of SimCLR and SwAV


class Run(NamedTuple):
    """One run.

    Attributes:
        data: name of the images.
        method: a key of `TITLES`.
        rate: the learning rate for a batch of 32; None: the recipe's own, or no training.
        seed: of everything random.
    """

    data: str
    method: str
    rate: float | None
    seed: int

    @property
    def place(self) -> Path:
        """The run's folder in that of all runs."""
        rate = "own" if self.rate is None else f"{self.rate:g}"
        return Path(self.data, self.method, rate, str(self.seed))

    @staticmethod
    def at(place: Path) -> "Run":
        """The run of a folder whose path ends in `place`."""
        data, method, rate, seed = place.parts[-4:]
        return Run(data, method, None if rate == "own" else float(rate), int(seed))


class Budget(NamedTuple):
    """What the recipe chooses for a data set, and its rivals get as well.

    Attributes:
        num_images: N.
        batch_size: in images.
        num_views: of each image.
        max_epochs: number of epochs.
        num_clusters: C.
        held_back: share of the images that are in no batch.
    """

    num_images: int
    batch_size: int
    num_views: int
    max_epochs: int
    num_clusters: int
    held_back: float

    @staticmethod
    def of(frozen: Path) -> "Budget":
        """The settings of the frozen network's run, which are the recipe's.

        Args:
            frozen: its folder.

        Raises:
            ValueError: the folder has no such run.
        """
        config = read_run_config(frozen / "config.yaml")
        names = (frozen / "start" / "index.csv").read_text(encoding="utf-8").splitlines()
        return Budget(
            len(names) - 1,  # without the head
            config.data.batch_size,
            config.data.num_views,
            config.trainer.max_epochs,
            config.algorithm.num_clusters,
            config.data.held_back,
        )


def first_runs(data: Sequence[str], methods: Sequence[str] = tuple(TITLES)) -> list[Run]:
    """All runs of the recipe, and those of its rivals with the first seed, after the frozen ones.

    Args:
        data: names of the images.
        methods: which methods; the frozen network is always among them.
    """
    runs = [Run(name, FROZEN, None, SEEDS[0]) for name in data]
    for name in data:
        if RECIPE in methods:
            runs += [Run(name, RECIPE, None, seed) for seed in SEEDS]
        runs += [
            Run(name, method, rate, SEEDS[0])
            for method in RIVALS
            if method in methods
            for rate in RATES
        ]
    return runs


def other_seeds(run: Run) -> list[Run]:
    """The runs of the other seeds, for the best learning rate of a rival."""
    return [run._replace(seed=seed) for seed in SEEDS[1:]]


def settings(run: Run, budget: Budget | None) -> dict[str, Any]:
    """The settings of a run that differ from those of its experiment.

    All methods get the same number of views in a step and in total. Those with one view of an image
    therefore get more images in a step, and more epochs.

    Args:
        run: to train.
        budget: of its data; None for the frozen network and the recipe, which choose themselves.
    """
    if run.method == FROZEN:
        return {"experiment": "odc_adapt", "train.only_start": True}
    if run.method == RECIPE:
        return {"experiment": "odc_adapt", "train.pages": False}
    assert budget is not None
    assert run.rate is not None
    more = budget.num_views if run.method in ONE_VIEW else 1
    batch_size = budget.batch_size * more
    found = {
        "experiment": f"adapt_{run.method}",
        "train.pages": False,
        "optimizer.lr": run.rate * budget.batch_size / 32,
        "data.batch_size": batch_size,
        "trainer.max_epochs": budget.max_epochs * more,
        "algorithm.num_clusters": 2 * batch_size - 1  # the rows to choose from
        if run.method == "simclr"
        else budget.num_clusters,
    }
    if run.method not in WITH_MEMORY:
        trained = budget.num_images - num_held_back(budget.num_images, budget.held_back)
        found["data.subset"] = {"num_images": trained, "seed": run.seed}
    return found


def overrides(run: Run, budget: Budget | None, study: Mapping[str, Any]) -> list[str]:
    """The command line of a run, after ``python -m odc_lightning.train``.

    Args:
        run, budget: see `settings`.
        study: settings of all runs: the network, the images, their size, the run's folder.
    """
    every = {
        "hydra.searchpath": [f"file://{CONF}", f"file://{HEADS}"],
        **settings(run, budget),
        "data": "adapt_letters" if run.data == "letters" else "adapt_images",
        "seed": run.seed,
        "train.resume": "auto",
        "callbacks.label_scores.knn": False,  # a pass over all images in each epoch
        "trainer.accelerator": "cpu",
        **study,
    }
    return [f"{key}={_text(value)}" for key, value in every.items()]


def describe(budget: Budget) -> str:
    """A line about the budget of a data set."""
    return (
        f"{quantity(budget.num_images, 'image')}, {budget.num_clusters} clusters, "
        f"{quantity(budget.max_epochs, 'epoch')} of steps of {budget.batch_size} images with "
        f"{quantity(budget.num_views, 'view')}"
    )


def _text(value: Any) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_text(each) for each in value) + "]"
    if isinstance(value, str | Path) and any(mark in str(value) for mark in " ,'=:{}[]()"):
        quoted = str(value).replace("\\", "\\\\").replace("'", "\\'")
        return f"'{quoted}'"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
