"""Whole runs with names: images stay in the clusters of their names, also after a resume."""

import csv
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import Compose, composer
from odc_lightning.callbacks import NamedClusters, SamplesMemory
from odc_lightning.naming import clustering_id
from odc_lightning.runs.csv_files import write_index_table
from odc_lightning.runs.given_labels import RUBBISH_NAME
from odc_lightning.train import train
from test_train import assert_same_training, checkpoint
from test_train_ddp import assert_equal_replicas, train_on_two_ranks

DIGITS = (
    *("data=digits", "data.subset={num_images: 261}", "data.batch_size=32"),
    *("model.backbone.width=4", "trainer.accelerator=cpu", "callbacks.label_scores.knn=false"),
    *("algorithm.num_clusters=12", "trainer.max_epochs=2"),
)
SMALL = ("experiment=odc_small", "optimizer.lr=0.03", *DIGITS)
PUBLISHED = ("experiment=odc_digits", *DIGITS)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run without names."""
    folder = tmp_path_factory.mktemp("first")
    train(composer(folder, "train")(*SMALL))
    return folder / "run"


def images_of(run: Path) -> list[str]:
    with (run / "index.csv").open(newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


def clusters_of(run: Path) -> torch.Tensor:
    found: torch.Tensor = checkpoint(run)["callbacks"][SamplesMemory().state_key]["labels"]
    return found


def save(file: Path, **said: Any) -> str:
    file.write_text(json.dumps({"format": "odc-labels", "version": 1, **said}))
    return f"labels={file}"


@pytest.mark.parametrize(
    "options", [SMALL, PUBLISHED, (*SMALL, "data.held_back=0.1", "callbacks.keep_best.min_gain=0")]
)
def test_names_of_images_have_clusters(
    compose_config: Compose,
    tmp_path: Path,
    first: Path,
    caplog: pytest.LogCaptureFixture,
    options: tuple[str, ...],
) -> None:
    caplog.set_level(logging.INFO, "odc_lightning.callbacks.odc.named_clusters")
    images = images_of(first)
    said = {
        "images": {**dict.fromkeys(images[:5], "b"), **dict.fromkeys(images[5:9], "a"), "x": "c"},
        "together": [[images[20], images[21]], [images[21], images[22]]],
        "apart": [[images[20], images[30]], [images[31], images[0]]],
    }
    train(compose_config(*options, save(tmp_path / "labels.json", **said)))
    clusters = clusters_of(tmp_path / "run")
    assert clusters[:9].tolist() == [1] * 5 + [0] * 4
    assert clusters[20] == clusters[21] == clusters[22] != clusters[30]
    assert clusters[31] != 1
    text = caplog.text
    assert "2 names of 9 images" in text
    assert "1 image of the labels not among those of the training, which are ignored: x" in text


def test_names_of_clusters_are_those_of_their_run(
    compose_config: Compose, tmp_path: Path, first: Path
) -> None:
    images, clusters = images_of(first), clusters_of(first)
    said = {
        "clustering": clustering_id(images, clusters.numpy()),
        "run": str(first),
        "clusters": {"3": "cat", "5": None, "7": "cat"},
        "wrong": [images[int((clusters == each).nonzero()[0])] for each in (3, 5)],
    }
    labels = save(tmp_path / "labels.json", **said)
    train(compose_config(*SMALL, labels))
    state = checkpoint(tmp_path / "run")["callbacks"][NamedClusters("").state_key]
    assert state["names"] == ["cat", RUBBISH_NAME]
    expected = torch.full((261,), -1)
    expected[(clusters == 3) | (clusters == 7)] = 0
    expected[clusters == 5] = 1
    refused = [int((clusters == each).nonzero()[0]) for each in (3, 5)]
    expected[refused] = -1
    assert torch.equal(state["named"], expected)
    assert state["refused"][refused].tolist() == [0, 1]
    after = clusters_of(tmp_path / "run")
    assert torch.equal(after[expected >= 0], expected[expected >= 0])
    assert after[refused[0]] != 0
    assert after[refused[1]] != 1  # that of rubbish


def test_a_resumed_run_keeps_its_names(
    compose_config: Compose, tmp_path: Path, first: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images, file = images_of(first), tmp_path / "labels.csv"
    file.write_text("path,label\n" + "".join(f"{name},cat\n" for name in images[:6]))
    options = (*SMALL, f"labels={file}", "scheduler.T_max=2")
    train(compose_config(*options, run="whole"))
    train(compose_config(*options, "trainer.max_epochs=1", run="part"))
    last = tmp_path / "part" / "checkpoints" / "last.ckpt"
    file.write_text("path,label\n" + "".join(f"{name},dog\n" for name in images[6:9]))
    train(compose_config(*options, f"ckpt_path={last}", run="rest"))
    assert_same_training(tmp_path / "whole", tmp_path / "rest")
    assert "has changed since the run started, which keeps the names" in caplog.text
    with pytest.raises(ValueError, match=r"labels=.*other\.csv, but the run has .*labels\.csv"):
        train(compose_config(*options, f"labels={tmp_path}/other.csv", f"ckpt_path={last}"))
    file.unlink()
    train(compose_config(*options, f"ckpt_path={last}", run="gone"))
    assert_same_training(tmp_path / "whole", tmp_path / "gone")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"images": {"x": "cat"}}, "none of the 1 named images is an image of this run"),
        ({}, "says nothing about any image; name clusters or images first"),
        (
            {"clusters": {"1": "cat"}, "clustering": "0", "run": "FIRST"},
            "the names of clusters are those of another clustering",
        ),
        (
            {"clusters": {"1": "cat"}, "clustering": "0", "run": "gone"},
            "names clusters of the run gone, which is needed for the images in them",
        ),
        (
            {"clusters": {"1": "cat"}, "clustering": "0"},
            "names clusters, but not the run that they belong to",
        ),
        (
            {"together": [["A", "B"], ["B", "C"]], "apart": [["C", "A"]]},
            "are said to belong apart, and by other pairs together",
        ),
    ],
)
def test_what_is_refused_before_training(
    compose_config: Compose, tmp_path: Path, first: Path, said: dict[str, Any], message: str
) -> None:
    images = images_of(first)
    text = json.dumps(said).replace("FIRST", str(first))
    for letter, image in zip("ABC", images, strict=False):
        text = text.replace(f'"{letter}"', json.dumps(image))
    with pytest.raises(ValueError, match=message):
        train(compose_config(*SMALL, save(tmp_path / "labels.json", **json.loads(text))))


def test_other_images_than_those_of_the_run(
    compose_config: Compose, tmp_path: Path, first: Path
) -> None:
    other = tmp_path / "other" / "checkpoints"
    other.mkdir(parents=True)
    names = [f"{row}.png" for row in range(261)]
    write_index_table(other.parent / "index.csv", names)
    for name in ("config.yaml", "checkpoints/last.ckpt"):
        shutil.copyfile(first / name, other.parent / name)
    said = {
        "clustering": clustering_id(names, clusters_of(first).numpy()),
        "run": str(other.parent),
        "clusters": {"1": "cat"},
    }
    with pytest.raises(ValueError, match=r"none of its \d+ images is a training image, for exam"):
        train(compose_config(*SMALL, save(tmp_path / "labels.json", **said)))


def test_an_algorithm_without_a_samples_memory(compose_config: Compose) -> None:
    with pytest.raises(ValueError, match="the algorithm has no samples memory, whose clusters the"):
        train(compose_config("experiment=dc_quickstart", "labels=labels.json"))


@pytest.mark.ddp
def test_two_processes_agree(tmp_path: Path, first: Path) -> None:
    images = images_of(first)
    labels = save(
        tmp_path / "labels.json",
        images={**dict.fromkeys(images[:5], "b"), **dict.fromkeys(images[5:9], "a")},
        together=[[images[20], images[21]]],
        apart=[[images[20], images[30]]],
    )
    options = (*SMALL, "callbacks.replica_check.every_n_steps=1", "data.held_back=0.1", labels)
    zero, one = train_on_two_ranks(tmp_path, *options)
    assert_equal_replicas(zero, one)
    assert zero["labels"][:9].tolist() == [1] * 5 + [0] * 4
    assert zero["labels"][20] == zero["labels"][21] != zero["labels"][30]
