"""The command that shows clusters, on a real run and on runs that are made up."""

import csv
import re
import time
from io import StringIO
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from rich.console import Console

from conftest import Compose, composer
from helpers.made_up_run import groups, write_images, write_run
from helpers.processes import run_python
from odc_lightning.cli.cluster_page import shown_parts
from odc_lightning.clusters import clusters
from odc_lightning.train import train

NAMES = tuple(f"{folder}/{n} é.jpg" for folder in ("sea side", "wald") for n in range(8))


@pytest.fixture
def compose_clusters(tmp_path: Path) -> Compose:
    return composer(tmp_path, "clusters")


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few steps on the digits."""
    folder = tmp_path_factory.mktemp("training")
    train(
        composer(folder, "train")(
            "experiment=odc_digits",
            "trainer.max_epochs=1",
            "trainer.accelerator=cpu",
            "model.backbone.width=4",
            "callbacks.label_scores.knn=false",
            "data.subset={num_images: 300}",
            "algorithm.num_clusters=10",
        )
    )
    return folder / "run"


def photo_run(folder: Path) -> Path:
    features, labels = groups(len(NAMES), 3)
    write_images(folder / "photos", NAMES)
    return write_run(folder / "trained", folder / "photos", NAMES, features, labels)


def test_a_run_on_the_digits(
    compose_clusters: Compose, digits_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = compose_clusters(f"run={digits_run}")
    clusters(config)
    printed = capsys.readouterr().out
    folder = Path(config.run_dir)
    assert "300 images in 10 clusters" in printed
    assert "purity" in printed
    assert str(folder / "index.html") in printed
    assert "<title>odc_digits · clusters</title>" in (folder / "index.html").read_text()
    with (folder / "clusters.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (digits_run / "clusters.csv").open(newline="") as file:
        of_the_run = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [row["path"] for row in of_the_run]
    assert [row["cluster"] for row in rows] == [row["cluster"] for row in of_the_run]
    for row, known in zip(rows, of_the_run, strict=True):
        assert float(row["distance"]) == pytest.approx(float(known["distance"]), abs=1e-4)
    assert Image.open(folder / "contact_sheet.png").height > 500
    state = torch.load(digits_run / "checkpoints" / "last.ckpt", weights_only=True)
    centroids = state["callbacks"]["SamplesMemory"]["centroids"]
    first = torch.cdist(centroids, centroids).fill_diagonal_(torch.inf).argmin(dim=1)
    overview = (folder / "page" / "data" / "overview.js").read_text()
    assert f'"near":[[{int(first[0])},' in overview


def test_the_command_as_users_type_it(tmp_path: Path) -> None:
    run = photo_run(tmp_path)
    command = ("-m", "odc_lightning.clusters", f"run={run}", "hydra.run.dir=shown")
    done = run_python(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "16 images in 3 clusters of 5 to 6" in done.stdout
    assert done.stdout.strip().endswith("shown/index.html")
    assert (tmp_path / "shown" / "page" / "pictures" / "faces" / "2.jpg").is_file()


def test_sorting_is_a_dry_run_first(
    compose_clusters: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = photo_run(tmp_path)
    out = tmp_path / "sorted"
    clusters(compose_clusters(f"run={run}", f"sort_into={out}"))
    printed = capsys.readouterr().out
    assert "16 images" in printed
    assert "dry_run=false" in printed
    assert not out.exists()
    clusters(compose_clusters(f"run={run}", f"sort_into={out}", "dry_run=false"))
    assert len(list(out.glob("cluster_*/*.jpg"))) == 16
    assert not (tmp_path / "run" / "index.html").exists()
    with pytest.raises(ValueError, match="is not an empty folder"):
        clusters(compose_clusters(f"run={run}", f"sort_into={out}"))


@pytest.mark.parametrize("port", ["-1", "70000", "x"])
def test_a_server_needs_a_port(compose_clusters: Compose, tmp_path: Path, port: str) -> None:
    with pytest.raises(ValueError, match=rf"port={port}.* expected"):
        clusters(compose_clusters(f"run={photo_run(tmp_path)}", "serve=true", f"port={port}"))
    assert not (tmp_path / "run" / "index.html").exists()  # before the page is made


def test_images_that_have_moved_are_found_in_their_new_folder(
    compose_clusters: Compose, tmp_path: Path
) -> None:
    run = photo_run(tmp_path)
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"photos is not a folder.* add images=FOLDER"):
        clusters(compose_clusters(f"run={run}"))
    root = f"+data.train.root={tmp_path / 'elsewhere'}"
    clusters(compose_clusters(f"run={run}", root, "title=Our holidays"))
    overview = (tmp_path / "run" / "page" / "data" / "overview.js").read_text()
    assert '"problems":0' in overview
    assert '"title":"Our holidays"' in overview


def test_a_run_that_would_run_other_code_is_refused(
    compose_clusters: Compose, tmp_path: Path
) -> None:
    run = photo_run(tmp_path)
    config = OmegaConf.load(run / "config.yaml")
    config.data.train._target_ = "os.system"
    OmegaConf.save(config, run / "config.yaml")
    with pytest.raises(ValueError, match=r"would run os\.system.*add run_trusted=true"):
        clusters(compose_clusters(f"run={run}"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "no value for run; add run=..."),
        (["run=/no/such/run"], "run=/no/such/run does not exist"),
    ],
)
def test_what_is_no_run_is_refused(
    compose_clusters: Compose, overrides: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        clusters(compose_clusters(*overrides))


def test_a_checkpoint_without_its_run_is_refused(compose_clusters: Compose, tmp_path: Path) -> None:
    torch.save({}, tmp_path / "lone.ckpt")
    with pytest.raises(ValueError, match="a checkpoint without its run"):
        clusters(compose_clusters(f"run={tmp_path / 'lone.ckpt'}"))


def test_the_bar_counts_thumbnails_and_names_the_other_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = StringIO()
    console = Console(file=written, force_terminal=True, width=80)
    monkeypatch.setattr("odc_lightning.cli.cluster_page.get_console", lambda: console)
    monkeypatch.setattr("rich.progress.get_console", lambda: console)
    with shown_parts(542) as (part, progress):
        with part("distances"):
            pass
        with part("thumbnails"):
            progress(200)
            time.sleep(0.3)  # the bar is drawn ten times a second
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue())
    assert "200/542" in drawn
    assert re.search(r"distances .*0:00", drawn)
