"""Trainings, evaluations and files that start from a checkpoint of another project."""

import csv
import logging
import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from conftest import Compose
from helpers import foreign
from helpers.paths import SCRIPTS
from helpers.processes import run_python
from odc_lightning.evaluate import build_backbone, evaluate
from odc_lightning.models import ConvNet, ResNet
from odc_lightning.train import train

SCRIPT = SCRIPTS / "convert_checkpoint.py"


def state(network: torch.nn.Module) -> foreign.State:
    return {name: value.clone() for name, value in network.state_dict().items()}


def dino_file(folder: Path, network: torch.nn.Module) -> Path:
    """With settings of a command line in it, as DINO has them."""
    torch.save(foreign.dino(state(network)), folder / "dino.pth")
    return folder / "dino.pth"


@pytest.mark.parametrize("experiment", ["odc_digits", "supervised_fashion_mnist"])
def test_a_training_starts_from_it(
    compose_config: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture, experiment: str
) -> None:
    network = ConvNet(4)
    file = dino_file(tmp_path, network)
    config = compose_config(
        f"experiment={experiment}",
        "data=digits",
        "trainer.accelerator=cpu",
        "trainer.max_epochs=1",
        "model.backbone.width=4",
        f"model.pretrained={file}",
        "optimizer.lr=0",  # what it ends with is what it started from
    )
    with caplog.at_level(logging.INFO, logger="odc_lightning"):
        assert train(config) is not None
    run = Path(config.run_dir)
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    for name, value in network.named_parameters():
        assert torch.equal(saved[f"backbone.{name}"], value), name
    assert f"started from {file} (DINO): 24 weights taken, 3 dropped" in caplog.text
    with (run / "pretrained.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert rows[0] == {
        "source": "module.backbone.conv1.0.weight",
        "target": "conv1.0.weight",
        "shape": "4x3x3x3",
        "note": "",
    }
    assert {row["source"]: row["note"] for row in rows}["student"]


def test_another_file_is_refused_before_training(compose_config: Compose, tmp_path: Path) -> None:
    file = dino_file(tmp_path, ConvNet(8))
    options = ("experiment=odc_digits", "model.backbone.width=4", f"model.pretrained={file}")
    config = compose_config(*options)
    with pytest.raises(ValueError, match=r"does not fit .*add model\.backbone\.width=8"):
        train(config)
    assert not Path(config.run_dir).exists()
    config = compose_config("experiment=odc_digits", "model.pretrained=/no/such/file.pth")
    with pytest.raises(ValueError, match=r"model\.pretrained=/no/such/file\.pth does not exist"):
        train(config)


def test_a_continued_run_does_not_need_it(compose_config: Compose, tmp_path: Path) -> None:
    file = dino_file(tmp_path, ConvNet(4))
    options = ("experiment=odc_digits", "model.backbone.width=4", f"model.pretrained={file}")
    first = compose_config(*options, "trainer.max_epochs=1", run="first")
    train(first)
    file.unlink()
    last = Path(first.run_dir) / "checkpoints" / "last.ckpt"
    more = compose_config(*options, "trainer.max_epochs=2", f"ckpt_path={last}", run="more")
    assert train(more) is not None
    options = (*options[:-1], "model.pretrained=???")  # as the experiments of fine-tuning have it
    more = compose_config(*options, "trainer.max_epochs=2", f"ckpt_path={last}", run="again")
    assert train(more) is not None


EVALUATION = ("model=convnet", "model.backbone.width=4", "data=digits", "protocol=knn")


def test_an_evaluation_of_it(compose_evaluation: Compose, tmp_path: Path) -> None:
    network = ConvNet(4)
    torch.manual_seed(3)
    file = dino_file(tmp_path, network)
    evaluation = evaluate(compose_evaluation(*EVALUATION, f"checkpoint={file}"))
    assert evaluation.name == "dino"
    plain = tmp_path / "plain.pth"
    torch.save(network.state_dict(), plain)
    same = evaluate(compose_evaluation(*EVALUATION, f"checkpoint={plain}"))
    assert same.scores == evaluation.scores


def test_permissions_of_an_evaluation(compose_evaluation: Compose, tmp_path: Path) -> None:
    weights: dict[str, Any] = state(ConvNet(4))
    del weights["conv4.0.weight"]
    file = tmp_path / "part.pkl"
    file.write_bytes(pickle.dumps({name: value.numpy() for name, value in weights.items()}, 2))
    options = [*EVALUATION, f"checkpoint={file}"]
    with pytest.raises(ValueError, match="add checkpoint_trusted=true"):
        build_backbone(compose_evaluation(*options))
    options.append("checkpoint_trusted=true")
    with pytest.raises(ValueError, match=r"by name: checkpoint_allow=\[conv4\.\*\]"):
        build_backbone(compose_evaluation(*options))
    backbone = build_backbone(compose_evaluation(*options, "checkpoint_allow=[conv4.*]"))
    assert torch.equal(backbone.state_dict()["conv1.0.weight"], weights["conv1.0.weight"])


def convert(*arguments: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_python(str(SCRIPT), *map(str, arguments), cwd=cwd)


@pytest.mark.parametrize("name", ["resnet18.safetensors", "resnet18.pth"])
def test_the_script(tmp_path: Path, name: str) -> None:
    network = ResNet("resnet18", small_images=True)
    file = dino_file(tmp_path, network)
    command = (file, name, "--model", "resnet18", "model.backbone.small_images=true")
    done = convert(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = tmp_path / name
    weights = load_file(out) if out.suffix == ".safetensors" else torch.load(out)
    assert set(weights) == set(network.state_dict())
    assert all(torch.equal(weights[key], value) for key, value in network.state_dict().items())
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["source", "target", "shape", "note"]
    assert lines[1].split() == ["module.backbone.conv1.weight", "conv1.weight", "64x3x3x3"]
    assert lines[-1] == f"{name} (DINO): 120 weights taken, 3 dropped"
    again = convert(*command, cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr


@pytest.mark.long
def test_refusals_of_the_script(tmp_path: Path) -> None:
    weights = state(ConvNet())
    del weights["conv4.0.weight"]
    file = tmp_path / "part.pkl"
    file.write_bytes(pickle.dumps({name: value.numpy() for name, value in weights.items()}, 2))
    model = ("--model", "convnet")
    for arguments, message in (
        ((file, "out.npz", *model), "expected a name that ends with .safetensors, .pt, .pth"),
        ((file, "no/out.pt", *model), "there is no folder no; make it first"),
        ((file, "out.pt", *model), "add model.pretrained_trusted=true"),
        ((file, "out.pt", *model, "--trusted"), "Missing in the file: conv4.0.weight."),
        ((file, "out.pt", "--model", "resnet"), "Could not find 'model/resnet'"),
        ((file, "out.pt", "--model", "timm"), "no value for model.backbone.name"),
    ):
        done = convert(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert message in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["part.pkl"]
    done = convert(file, "out.pt", *model, "--trusted", "--allow", "conv4.*", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if "192x96x3x3" in line]
    assert " ".join(row.split()) == "conv4.0.weight 192x96x3x3 not in the file: left as initialised"
