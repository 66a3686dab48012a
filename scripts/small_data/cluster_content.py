"""The content of clusters of finished ODC runs.

``python -m scripts.small_data.cluster_content RUN ... --out FOLDER`` (``TITLE=RUN`` sets a title).

Measures how much the cluster label tells about properties of an image, and about the augmentation
of a view. The measure is a share of the property's entropy, corrected for chance: 0 if the label
says nothing about the property, 1 if it determines it. Views are labelled as in training: by the
network in training mode, in batches. Writes ``content.md``, ``content.png``, and ``clusters.png``
with members of some clusters.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import adjusted_mutual_info_score
from torch import Tensor
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as T

from odc_lightning.checkpoints import TrainingRun, checkpoint_file, read_checkpoint
from odc_lightning.config.build import build_module
from odc_lightning.data import ImageSource
from odc_lightning.memory import STATE, ClusterMemory
from odc_lightning.module import ODCModule
from odc_lightning.reporting.figures.curves import BLUE, GREEN, GREY, ORANGE
from odc_lightning.reporting.tables import markdown_table

LEVELS = 5  # continuous properties are divided in five parts with equally many images
NUM_VIEWS = 5000  # images from which views are drawn
BATCH = 64
JITTER = 0.6  # of brightness, as in augmentation=small_views
SHOWN_CLUSTERS, SHOWN_MEMBERS = 8, 12

Properties = dict[str, NDArray[np.float64]]  # name -> a value for each image or view
Values = dict[str, float]  # name -> the value of one view, or the share that a label tells


@dataclass
class Clustered:
    """A finished run: its network, its memory, and its training images."""

    module: ODCModule
    memory: ClusterMemory
    source: ImageSource
    size: int  # side of the network's input, in pixels
    crop: tuple[float, float]

    @staticmethod
    def read(path: Path) -> "Clustered":
        """Read a run's folder.

        Raises:
            ValueError: it is not the folder of a run with a samples memory.
        """
        file = checkpoint_file(path)
        run = TrainingRun.of(file)
        content = read_checkpoint(file)
        states = [
            state
            for state in content.get("callbacks", {}).values()
            if isinstance(state, dict) and state.keys() >= set(STATE)
        ]
        if run is None or not states:
            raise ValueError(f"{path} is not the folder of an ODC run; expected a samples memory")
        config = run.config
        module = build_module(config)
        module.load_state_dict(content["state_dict"])
        (num_samples, dim), num_clusters = states[0]["features"].shape, len(states[0]["counts"])
        settings = config.algorithm.samples_memory
        memory = ClusterMemory(
            num_samples, num_clusters, dim, assignment=settings.assignment, momentum=1.0
        )
        memory.load_state_dict({name: states[0][name] for name in STATE})
        data = instantiate(config.data)
        data.setup("fit")
        low, high = config.data.crop
        return Clustered(
            module, memory, data.train_dataset.source, config.data.image_size, (low, high)
        )


def draw_view(image: Image.Image, size: int, crop: Sequence[float]) -> tuple[Tensor, Values]:
    """Draw a random crop with a random flip and a random brightness.

    Returns:
        (3, size, size) fp32 in [-1, 1], and the properties of the view.
    """
    top, left, height, width = RandomResizedCrop.get_params(image, list(crop), [3 / 4, 4 / 3])
    mirrored = bool(torch.rand(()) < 0.5)
    brightness = float(torch.empty(()).uniform_(1 - JITTER, 1 + JITTER))
    view = T.resized_crop(image, top, left, height, width, [size, size])
    view = T.adjust_brightness(T.horizontal_flip(view) if mirrored else view, brightness)
    pixels = T.to_dtype(T.pil_to_tensor(view), torch.float32, scale=True)
    done = {
        "size of the crop": float(height * width),
        "height of the crop in the image": top + height / 2,
        "side of the crop in the image": left + width / 2,
        "mirrored": float(mirrored),
        "change of brightness": brightness,
    }
    return (pixels - 0.5) / 0.5, done


def of_images(source: ImageSource) -> Properties:
    """The properties of each of the N images."""
    pixels = np.stack([np.asarray(source.load(i).convert("L")) for i in range(len(source))]) / 255
    inked = pixels > 0.1
    assert source.labels is not None  # the benchmark's images have them
    return {
        "class": np.asarray(source.labels, dtype=float),
        "brightness": pixels.mean(axis=(1, 2)),
        "contrast": pixels.std(axis=(1, 2)),
        "width of what is shown": inked.any(axis=1).sum(axis=1).astype(float),
        "height of what is shown": inked.any(axis=2).sum(axis=1).astype(float),
    }


def shares_told(labels: NDArray[np.int64], properties: Properties) -> Values:
    """The share of each property's entropy (N,) that labels (N,) tell; 0 is chance.

    It is the mutual information minus its expectation by chance, divided by the same quantity of
    the property with itself. A property with more than 10 values is divided in `LEVELS` parts of
    equal size.
    """
    return {
        name: float(adjusted_mutual_info_score(levels(values), labels, average_method="min"))
        for name, values in properties.items()
    }


def levels(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The index of each value if there are few, else the fifth of all values that it is in."""
    distinct, numbers = np.unique(values, return_inverse=True)
    if len(distinct) <= 10:
        return numbers.astype(np.int64)
    borders = np.quantile(values, np.linspace(0, 1, LEVELS + 1)[1:-1])
    return np.searchsorted(borders, values, side="right").astype(np.int64)


@torch.no_grad()
def of_views(clustered: Clustered, seed: int = 0) -> tuple[Values, float]:
    """How much the label of a view tells about the view.

    Returns:
        The share for each property, and the share of images whose two views get the same label.
    """
    torch.manual_seed(seed)
    source, memory, module = clustered.source, clustered.memory, clustered.module.train()
    chosen = torch.randperm(len(source))[:NUM_VIEWS]
    labels: list[list[Tensor]] = [[], []]
    properties: list[Values] = []
    for batch in chosen.split(BATCH):
        for again in (0, 1):
            images = [source.load(int(index)) for index in batch]
            views, done = zip(
                *(draw_view(image, clustered.size, clustered.crop) for image in images),
                strict=True,
            )
            features = module.neck(module.backbone(torch.stack(views)))
            # With m = 1 the new feature does not depend on the memory's previous one.
            labels[again].append(memory.propose(batch, features)[1])
            properties += done if again == 0 else ()
    first, second = (torch.cat(parts) for parts in labels)
    assert source.labels is not None  # the benchmark's images have them
    by_name: Properties = {
        name: np.array([row[name] for row in properties]) for name in properties[0]
    }
    classes = {"class": np.asarray(source.labels, dtype=float)[chosen.numpy()]}
    return shares_told(first.numpy(), classes | by_name), float((first == second).float().mean())


def draw_bars(rows: Mapping[str, Values], output_png: Path) -> None:
    """Draw horizontal bars: one per property and run."""
    names = list(next(iter(rows.values())))
    figure = Figure(figsize=(9, 0.5 * len(names) + 1.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(rows)
    for number, ((title, values), colour) in enumerate(
        zip(rows.items(), (GREY, ORANGE, BLUE, GREEN), strict=False)
    ):
        places = np.arange(len(names)) + (number - (len(rows) - 1) / 2) * height
        axes.barh(places, [values[name] for name in names], height, color=colour, label=title)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("share of the property that the cluster tells (0: chance)")
    axes.legend(frameon=False, loc="lower right")
    FigureCanvasAgg(figure).print_png(output_png)


def draw_clusters(runs: Mapping[str, Clustered], output_png: Path, seed: int = 0) -> None:
    """Draw one column per run and one row per random cluster, with random members."""
    rng = np.random.default_rng(seed)
    figure = Figure(figsize=(4.2 * len(runs), 3.2), dpi=110, layout="constrained")
    for axes, (title, run) in zip(
        figure.subplots(1, len(runs), squeeze=False)[0], runs.items(), strict=True
    ):
        sizes = run.memory.counts.numpy()
        side = run.size
        sheet = np.full((SHOWN_CLUSTERS * side, SHOWN_MEMBERS * side), 255, dtype=np.uint8)
        clusters = rng.choice(np.flatnonzero(sizes > 0), SHOWN_CLUSTERS, replace=False)
        for row, cluster in enumerate(clusters):
            members = np.flatnonzero(run.memory.labels.numpy() == cluster)
            members = rng.permutation(members)[:SHOWN_MEMBERS]
            for column, member in enumerate(members):
                image = run.source.load(int(member)).convert("L").resize((side, side))
                top, left = row * side, column * side
                sheet[top : top + side, left : left + side] = np.asarray(image)
        axes.imshow(sheet, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=10)
        axes.axis("off")
    FigureCanvasAgg(figure).print_png(output_png)


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="[TITLE=]RUN", help="folder of a finished run")
    parser.add_argument("--out", type=Path, required=True, help="output folder")
    given = parser.parse_args(argv)
    images: dict[str, Values] = {}
    views: dict[str, Values] = {}
    same: dict[str, float] = {}
    runs: dict[str, Clustered] = {}
    for argument in given.runs:
        name, equals, folder = argument.partition("=")
        path = Path(folder if equals else argument)
        title = name if equals else path.name
        try:
            run = runs[title] = Clustered.read(path)
        except ValueError as error:
            parser.error(str(error))
        images[title] = shares_told(run.memory.labels.numpy(), of_images(run.source))
        views[title], same[title] = of_views(run)
    given.out.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(
        [
            "What the label of an image tells:",
            table(images),
            "What the label of a view tells:",
            table(views),
            "Two views of an image have the same label:",
            markdown_table(["", *same], [["", *(f"{share:.0%}" for share in same.values())]]),
        ]
    )
    (given.out / "content.md").write_text(f"{text}\n", encoding="utf-8")
    print(text)
    draw_bars(
        {
            run: {f"image: {name}": value for name, value in images[run].items()}
            | {f"view: {name}": value for name, value in views[run].items()}
            for run in runs
        },
        given.out / "content.png",
    )
    draw_clusters(runs, given.out / "clusters.png")


def table(rows: Mapping[str, Values]) -> str:
    """A Markdown table with one column per run and one row per property."""
    names = list(next(iter(rows.values())))
    cells = [[name, *(f"{row[name]:.2f}" for row in rows.values())] for name in names]
    return markdown_table(["", *rows], cells)


if __name__ == "__main__":
    main()
