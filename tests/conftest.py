import copy
import functools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import rich
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure
from omegaconf import DictConfig
from PIL import Image
from rich.console import Console

from helpers.terminal import Terminal
from odc_lightning import evaluate, train
from odc_lightning.cli.command import ignore_warnings
from odc_lightning.config import CONFIG_DIR
from odc_lightning.data import digits
from odc_lightning.data.datasets.builtin import Split
from odc_lightning.reporting.figures import curves

# `odc train FOLDER` looks for pretrained weights. Tests, and the processes that they start, neither
# download any nor find those of the machine. The hub's client reads this when it is imported.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_CACHE"] = str(Path(tempfile.gettempdir(), "odc_lightning tests: no weights"))

Compose = Callable[..., DictConfig]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests with the mark ``gpu`` where there is none."""
    if item.get_closest_marker("gpu") is not None and not torch.cuda.is_available():
        pytest.skip("needs a GPU that torch can use (CUDA)")


@pytest.fixture(autouse=True)
def _without_irrelevant_warnings() -> None:
    ignore_warnings((*train.IRRELEVANT_WARNINGS, *evaluate.IRRELEVANT_WARNINGS))


@pytest.fixture(autouse=True)
def _no_command_of_hydra_outlives_its_test() -> Iterator[None]:
    """``--cfg`` leaves its config behind, by which a later call of `train` would be a command."""
    yield
    HydraConfig.instance().cfg = None


class NotRendered:
    """A canvas that writes a file which is not an image."""

    def __init__(self, figure: Figure) -> None:
        assert isinstance(figure, Figure)

    def print_png(self, path: Path) -> None:
        path.write_bytes(b"not rendered in this test")


@pytest.fixture(autouse=True)
def _curves_are_not_rendered(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of the time of a short run is the rendering of ``curves.png``.

    The figure is built in every run. Tests that are marked ``renders`` render it too.
    """
    if request.node.get_closest_marker("renders") is None:
        monkeypatch.setattr(curves, "FigureCanvasAgg", NotRendered)


@pytest.fixture
def compose_config(tmp_path: Path) -> Compose:
    """Compose train.yaml with overrides; the run folder is ``tmp_path / "run"``."""
    return composer(tmp_path, "train")


@pytest.fixture
def compose_evaluation(tmp_path: Path) -> Compose:
    """Compose evaluate.yaml with overrides; features go to ``tmp_path`` too."""
    return composer(tmp_path, "evaluate", features_dir=str(tmp_path / "features"))


def composer(tmp_path: Path, name: str, **always: str) -> Compose:
    def compose_with(*overrides: str, run: str = "run") -> DictConfig:
        config = compose_command(name, *overrides)
        # After the composition, which is then the same for several folders.
        config.update({"run_dir": str(tmp_path / run), **always})
        return config

    return compose_with


def compose_command(name: str, *overrides: str) -> DictConfig:
    """Compose the config of a command that has no folder of Hydra's."""
    return copy.deepcopy(_composed(name, overrides))


@functools.cache
def _composed(name: str, overrides: tuple[str, ...]) -> DictConfig:
    """Composed once for all tests: Hydra reads some thirty files for it."""
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        return compose(name, list(overrides))


def write_photos(folder: Path, split: Split, count: int) -> None:
    """Coloured digits of 16 x 16 as files, nested, with spaces and other alphabets in the names."""
    source = digits(split)
    rng = np.random.default_rng(0)
    for index in range(count):
        place = folder / ("Ausflüge" if index % 2 else "2024/五月 a,b='c'")
        place.mkdir(parents=True, exist_ok=True)
        gray = np.asarray(source.load(index).resize((16, 16)), np.float32)
        tinted = (gray * rng.uniform(0.5, 1, 3)).astype(np.uint8)
        Image.fromarray(tinted).save(place / f"bild {index}.png")


@pytest.fixture(scope="session")
def photos_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training of the recipe for small data on 200 coloured images, made once."""
    folder = tmp_path_factory.mktemp("photos run")
    write_photos(folder / "my photos", "train", 200)
    train.train(
        composer(folder, "train")(
            "experiment=odc_small",
            "data=image_folder",
            f"data.root='{folder}/my photos'",
            "data.image_size=16",
            "data.num_workers=0",
            "data.flip=0",
            "augmentation@data.eval_transform=small_images_eval",
            "model.backbone.width=8",
            "algorithm.num_clusters=12",
            "trainer.max_epochs=4",
            "trainer.accelerator=cpu",
        )
    )
    return folder / "run"


@pytest.fixture(scope="session")
def new_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 images that the run has not seen."""
    folder = tmp_path_factory.mktemp("new") / "new photos"
    write_photos(folder, "val", 70)
    return folder


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 120 columns, for `redirect_stdout`; pytest sets stdout after the fixtures."""
    for name, value in {"TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    screen = Terminal()
    with redirect_stdout(screen):
        monkeypatch.setattr(rich, "_console", Console())
    return screen
