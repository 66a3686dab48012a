"""Weights as people have them: under the prefixes of wrappers, averaged, or in other formats."""

import copy
import functools
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from odc_lightning.checkpoints import Conversion, checkpoint_file, load_pretrained
from odc_lightning.models import ConvNet, ResNet

State = dict[str, Tensor]
PREFIXES = (
    *("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "backbone."),
    *("encoder.", "net.", "model.encoder.", "model._orig_mod.", "net.backbone._orig_mod."),
    *("_forward_module.model.", "_fsdp_wrapped_module.", "student.", "a.b.c."),
)


@pytest.fixture(scope="module")
def weights() -> State:
    """Of torchvision's ResNet-18, with its classifier.

    Each weight is one number of its own, which makes small files.
    """
    with torch.device("meta"):
        shapes = torchvision.models.resnet18().state_dict()
    return {
        name: torch.tensor(number + 1, dtype=value.dtype).expand(value.shape)
        for number, (name, value) in enumerate(shapes.items())
    }


@pytest.fixture(scope="module")
def average(weights: State) -> State:
    return {name: value + 1 for name, value in weights.items()}


def under(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + name: value for name, value in state.items()}


def load(folder: Path, content: Any, network: Any = None) -> tuple[Conversion, State]:
    """Load into a ResNet-18: how, and its weights then."""
    file = folder / "weights.pth"
    torch.save(content, file)
    backbone = network or resnet()
    return load_pretrained(backbone, file), backbone.state_dict()


@functools.cache
def _built() -> ResNet:
    return ResNet("resnet18")


def resnet() -> ResNet:
    """A ResNet-18 whose weights are those of no file."""
    return copy.deepcopy(_built())


def same(found: State, expected: State) -> bool:
    return all(torch.equal(value, expected[name]) for name, value in found.items())


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_common_prefix(prefix: str, weights: State, tmp_path: Path) -> None:
    conversion, found = load(tmp_path, {"state_dict": under(prefix, weights)})
    assert same(found, weights)
    assert conversion.summary.startswith("(torchvision's names): 120 weights taken, 2 dropped")
    assert {row.note for row in conversion.rows if row.target is None} == {"classifier"}


def test_a_prefix_of_a_network_that_no_project_has(tmp_path: Path) -> None:
    """Recognised by the backbone's names alone; what is beside the network is dropped."""
    network = ConvNet(width=4)
    content = {**under("net.", network.state_dict()), "head.weight": torch.ones(2, 2)}
    conversion, found = load(tmp_path, content, ConvNet(width=4))
    assert same(found, network.state_dict())
    assert conversion.summary.endswith("1 dropped; the weights under net.")


@pytest.mark.parametrize(
    ("place", "prefix", "beside"),
    [
        (("state_dict_ema",), "", {}),
        (("model_ema",), "", {}),
        (("ema", "module"), "", {"decay": 0.9}),
        (("ema_state_dict",), "module.", {}),
        (("network",), "", {}),
        (("module",), "", {"ds_version": "0.17"}),
        (("backbone",), "", {}),
    ],
)
def test_an_entry_of_any_name(
    place: tuple[str, ...],
    prefix: str,
    beside: dict[str, Any],
    weights: State,
    tmp_path: Path,
) -> None:
    content: dict[str, Any] = under(prefix, weights)
    for key in reversed(place):
        content = {key: content, **beside}
    content |= {"epoch": 3, "rng": torch.zeros(9), "optimizer": {"state": {0: torch.ones(2, 2)}}}
    conversion, found = load(tmp_path, content)
    assert same(found, weights)
    is_average = "ema" in place[0]
    assert ("the moving average of the weights" in conversion.summary) == is_average


@pytest.mark.parametrize("inside", [False, True])
def test_of_weights_and_their_average_the_weights_are_taken(
    inside: bool, weights: State, average: State, tmp_path: Path
) -> None:
    if inside:
        content = {"state_dict": {**under("ema_model.", average), **under("model.", weights)}}
        names = ("state_dict.model.", "state_dict.ema_model.")
    else:
        content = {"state_dict_ema": average, "state_dict": weights}
        names = ("state_dict", "state_dict_ema")
    conversion, found = load(tmp_path, content)
    assert same(found, weights)
    taken = f"; the weights under {names[0]}, not their moving average under {names[1]}"
    assert conversion.summary.endswith(taken)


def test_an_averaged_model_of_torch(weights: State, tmp_path: Path) -> None:
    network = ConvNet(width=4)
    averaged = torch.optim.swa_utils.AveragedModel(network)
    conversion, found = load(tmp_path, averaged.state_dict(), ConvNet(width=4))
    assert same(found, network.state_dict())
    assert {row.source: row.note for row in conversion.rows if row.note} == {
        "n_averaged": "number of averaged networks"
    }


@pytest.mark.parametrize("names", [("student.", "teacher."), ("generator", "discriminator")])
def test_two_networks_that_fit_are_named(
    names: tuple[str, str], weights: State, average: State, tmp_path: Path
) -> None:
    one, two = names
    if one.endswith("."):
        content: Any = {"state_dict": {**under(one, weights), **under(two, average)}}
    else:
        content = {one: weights, two: average}
    with pytest.raises(
        ValueError, match=rf"networks that fit equally well, under .*{one}, .*{two}"
    ):
        load(tmp_path, content)


def test_another_network_under_a_prefix_is_named(tmp_path: Path) -> None:
    content = {"state_dict": under("model.", ConvNet(width=4).state_dict())}
    with pytest.raises(ValueError, match=r"looks like a convnet: choose model=convnet\."):
        load(tmp_path, content)


def test_a_folder_as_on_the_hub(weights: State, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = {name: value.contiguous() for name, value in weights.items()}
    save_file(whole, tmp_path / "a" / "model.safetensors")
    torch.save(weights, tmp_path / "b" / "pytorch_model.bin")
    for name in "ab":
        backbone = resnet()
        load_pretrained(backbone, checkpoint_file(tmp_path / name, "model.pretrained"))
        assert same(backbone.state_dict(), weights)


def exported(path: Path) -> None:
    torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),)), path)


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights.pth", b"x")


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.pt", lambda p: torch.jit.script(nn.Linear(2, 2)).save(p), "a TorchScript archive"),
        ("a.pt2", exported, "a program of torch.export; if you trust its source, save its weights"),
        ("a.onnx", lambda p: p.write_bytes(b"\x08\x08\x12\x07pytorch"), "an ONNX model; take"),
        ("a.h5", lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n"), "an HDF5 file of Keras"),
        ("a.pth", lambda p: p.write_text("version https://git-lfs.github.com/spec/v1"), "Git LFS"),
        ("a.pth", lambda p: p.write_text("<!doctype html><title>404"), "a web page, not the file"),
        ("a.gz", lambda p: p.write_bytes(b"\x1f\x8b\x08\0"), "a compressed archive; unpack it"),
        ("a.zip", zipped, "a zip archive; unpack it"),
        ("a.npz", lambda p: np.savez(p, a=np.ones(2)), "a NumPy archive; save the weights"),
        ("a.npy", lambda p: np.save(p, np.ones(2)), "a NumPy array; save the weights"),
    ],
)
def test_other_files_are_called_by_their_name(
    name: str, write: Any, message: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    write(file)
    with pytest.raises(ValueError, match=re.escape(f"{file} is ")) as refused:
        load_pretrained(ConvNet(), file)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("zero_to_fp32.py", r"a DeepSpeed checkpoint; run python .*/zero_to_fp32\.py "),
        ("mp_rank_00_model_states.pt", "a DeepSpeed checkpoint; give its mp_rank_00"),
        (".metadata", "a distributed checkpoint of torch; run python -m torch.distributed"),
        ("model.safetensors.index.json", "weights in several files; save them as one file"),
        ("saved_model.pb", "a TensorFlow model; convert its weights to torch"),
        ("x", r"is a folder without checkpoints/last\.ckpt; expected a checkpoint file"),
    ],
)
def test_other_folders_are_called_by_their_name(file: str, message: str, tmp_path: Path) -> None:
    (tmp_path / file).touch()
    with pytest.raises(ValueError, match=message):
        checkpoint_file(tmp_path, "model.pretrained")
