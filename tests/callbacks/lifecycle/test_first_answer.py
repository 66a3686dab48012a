"""The first answer: a folder of the frozen network's clusters that all commands read."""

import csv
import logging
import shutil
from pathlib import Path

import pytest
import timm
import torch
from omegaconf import OmegaConf
from PIL import Image

from conftest import Compose, composer, write_photos
from helpers.odc_lines import run_line
from odc_lightning import load
from odc_lightning.callbacks.lifecycle import cluster_page
from odc_lightning.hub import export_folder
from odc_lightning.runs.summary import read_summary
from odc_lightning.train import train

NAME = "resnet10t"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs and a file of weights; runs are made there."""
    folder = tmp_path_factory.mktemp("first answer")
    write_photos(folder / "photos", "train", 40)
    torch.manual_seed(0)
    torch.save(timm.create_model(NAME).state_dict(), folder / "weights.pth")
    return folder


def settings(home: Path, experiment: str = "odc_adapt") -> tuple[str, ...]:
    return (
        *(f"experiment={experiment}", "data=image_folder", f"data.root='{home}/photos'"),
        *("model=timm", f"model.backbone.name={NAME}", f"model.pretrained='{home}/weights.pth'"),
        "augmentation@data.eval_transform=small_images_eval",
        *("data.image_size=32", "data.num_workers=0", "algorithm.num_clusters=5"),
        *("trainer.accelerator=cpu", "trainer.max_epochs=1"),
        "callbacks.keep_best.min_view_retrieval=0",  # the weights are random
    )


@pytest.fixture(scope="module")
def only(home: Path) -> Path:
    """The folder `start` of a run that ends with it."""
    summary = train(composer(home, "train")(*settings(home), "train.only_start=true", run="only"))
    assert summary is not None
    return home / "only" / "start"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as table:
        return list(csv.DictReader(table))


def test_only_the_start(only: Path) -> None:
    summary = read_summary(only / "summary.json")
    assert (summary["num_samples"], summary["num_clusters"]) == (40, 5)
    assert summary["train_loss"] is None
    assert not (only.parent / "summary.json").exists()
    assert not (only.parent / "checkpoints").exists()
    for name in ("config.yaml", "index.csv", "checkpoints/last.ckpt", "clusters/index.html"):
        assert (only / name).is_file(), name
    assert {row["cluster"] for row in rows(only / "clusters.csv")} == set("01234")


def test_its_features_are_the_networks_own(home: Path, only: Path) -> None:
    model = load(only)
    network = timm.create_model(NAME, num_classes=0)
    network.load_state_dict(torch.load(home / "weights.pth", weights_only=True), strict=False)
    names = [row["path"] for row in rows(only / "index.csv")]
    files = [home / "photos" / name for name in names]
    images = torch.stack([model.transform(Image.open(file).convert("RGB")) for file in files])
    with torch.no_grad():
        features = network.eval()(images)
    expected = torch.nn.functional.normalize(features - features.mean(dim=0), dim=1)
    torch.testing.assert_close(model.embed(files), expected, atol=1e-4, rtol=1e-3)
    labels = [int(row["cluster"]) for row in rows(only / "clusters.csv")]
    assert model.assign(files).labels.tolist() == labels  # K-Means has converged
    assert export_folder(model, only.parent / "export", onnx=False)["the cluster head"] < 1e-4


def test_all_commands_read_it(home: Path, only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    (home / "new").mkdir()
    for file in list((home / "photos").rglob("*.png"))[:3]:
        shutil.copy(file, home / "new")
    for name, *words in (
        ("clusters", str(only), "hydra.run.dir=page"),
        ("assign", str(only), "new", "out=assigned", "num_workers=0"),
        ("extract", str(only), "out=features", "num_workers=0"),
        ("report", str(only.parent), str(only)),
    ):
        done = run_line(name, *words)
        assert done.code == 0, (name, done.err)
    known = {Path(row["path"]).name: row["cluster"] for row in rows(only / "clusters.csv")}
    for row in rows(home / "assigned" / "assigned.csv"):
        assert row["cluster"] == known[Path(row["path"]).name]


@pytest.mark.parametrize("experiment", ["odc_adapt", "odc_small"])
def test_a_training_has_both_pages(
    home: Path, capsys: pytest.CaptureFixture[str], experiment: str, only: Path
) -> None:
    """The first does not depend on the recipe; only `odc_adapt` freezes the statistics."""
    compose = composer(home, "train")
    train(compose(*settings(home, experiment), "train.pages=true", run=experiment))
    run = home / experiment
    first = [row["cluster"] for row in rows(run / "start" / "clusters.csv")]
    assert first == [row["cluster"] for row in rows(only / "clusters.csv")]
    ends = {row["path"]: row["cluster"] for row in rows(run / "clusters.csv")}
    page = {row["path"]: row["cluster"] for row in rows(run / "clusters" / "clusters.csv")}
    assert page == ends
    states = [torch.load(path / "checkpoints" / "last.ckpt") for path in (run, run / "start")]
    before, after = ({k: v for k, v in s["state_dict"].items() if "running" in k} for s in states)
    frozen = all(torch.equal(after[name], value) for name, value in before.items())
    assert frozen is (experiment == "odc_adapt")
    printed = capsys.readouterr().out
    assert "  start/clusters/index.html  the clusters before training" in printed
    assert "  clusters/index.html        the clusters" in printed
    path, naming, _other = printed.splitlines()[-3:]
    assert path == f"page                {run}/clusters/index.html"
    assert naming == f"name clusters       odc clusters '{run}' serve=true"


def test_a_page_that_fails_does_not_stop_the_run(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no room for thumbnails")

    monkeypatch.setattr(cluster_page, "build_cluster_page", fail)
    config = composer(home, "train")(*settings(home), run="without page")
    with caplog.at_level(logging.WARNING):
        assert train(config) is not None
    assert caplog.text.count("cannot be made: no room for thumbnails") == 2
    assert (home / "without page" / "start" / "clusters.csv").is_file()


def test_a_run_of_the_start_alone_is_trained_later(home: Path, only: Path) -> None:
    folder = shutil.copytree(only.parent, home / "later")
    changed = OmegaConf.load(folder / "config.yaml")
    assert changed.train.only_start is True
    config = composer(home, "train")(*settings(home), "train.resume=auto", run="later")
    assert train(config) is not None
    assert read_summary(folder / "summary.json")["train_loss"] is not None
    again = composer(home, "train")(*settings(home), "train.resume=auto", run="later")
    again.train.only_start = True
    with pytest.raises(ValueError, match="only_start=true, but the run has trained already"):
        train(again)


def test_a_start_needs_a_pretrained_network(compose_config: Compose) -> None:
    with pytest.raises(ValueError, match="only_start=true without a pretrained network"):
        train(compose_config("experiment=odc_digits", "train.only_start=true"))
