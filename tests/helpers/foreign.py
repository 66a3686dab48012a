"""Checkpoints of other projects, made from a network of ours under their own names.

Each function renames by rules of its own, written the other way round from those of the package,
and adds what the project keeps beside the backbone.
"""

import re
from argparse import Namespace
from typing import Any

import torch
from torch import Tensor

from odc_lightning.models.sobel import KERNELS

State = dict[str, Tensor]


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def torchvision(state: State) -> dict[str, Any]:
    width = max(value.shape[0] for value in state.values() if value.ndim == 4)
    return {**state, "fc.weight": torch.randn(1000, width), "fc.bias": torch.randn(1000)}


def openselfsup(state: State) -> dict[str, Any]:
    neck = {"neck.fc0.weight": torch.randn(512, 8), "neck.bn0.running_mean": torch.randn(512)}
    head = {"head.fc_cls.weight": torch.randn(10, 256), "head.fc_cls.bias": torch.randn(10)}
    memory = {"memory_bank.feature_bank": torch.randn(20, 256)}
    return {
        "meta": {"epoch": 440, "mmcv_version": "1.0.3"},
        "state_dict": {**prefixed(state, "backbone."), **neck, **head, **memory},
        "optimizer": {"state": {}, "param_groups": []},
    }


def vissl(state: State) -> dict[str, Any]:
    trunk = prefixed(state, "_feature_blocks.")
    heads = {"0.clf.0.weight": torch.randn(128, 8)}
    model = {"trunk": trunk, "heads": heads}
    return {
        "phase_idx": 100,
        "iteration": 500,
        "classy_state_dict": {"base_model": {"model": model, "meters": {}}, "optimizer": {}},
    }


def vissl_alexnet(state: State) -> dict[str, Any]:
    """Trunks have no fully connected layers, and the Sobel filter is a layer."""
    blocks = {"0": "0.0", "1": "0.1", "4": "2.0", "5": "2.1", "8": "4.0"}
    blocks |= {"9": "4.1", "11": "5.0", "12": "5.1", "14": "6.0", "15": "6.1"}
    trunk = {}
    for name, value in state.items():
        if name.startswith("features."):
            _, layer, part = name.split(".")
            trunk[f"_feature_blocks.{blocks[layer]}.{part}"] = value
    return {"model_state_dict": {**trunk, **sobel()}}


def sobel() -> State:
    return {
        "sobel.0.weight": torch.full((1, 3, 1, 1), 1.0 / 3.0),
        "sobel.0.bias": torch.zeros(1),
        "sobel.1.weight": torch.tensor(KERNELS).unsqueeze(1),
        "sobel.1.bias": torch.zeros(2),
    }


def deepcluster(state: State, filtered: bool = True) -> dict[str, Any]:
    """Only the features are wrapped in DataParallel; of 2018, so without counts of batches."""
    named = {
        re.sub(r"^features\.", "features.module.", name): value
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    top = {"top_layer.weight": torch.randn(100, 4096), "top_layer.bias": torch.randn(100)}
    return {
        "epoch": 500,
        "arch": "alexnet",
        "state_dict": {**named, **(sobel() if filtered else {}), **top},
        "optimizer": {"state": {}, "param_groups": []},
    }


def swav(state: State) -> dict[str, Any]:
    heads = {
        "projection_head.0.weight": torch.randn(2048, 8),
        "projection_head.1.running_mean": torch.randn(2048),
        "projection_head.3.bias": torch.randn(128),
        "prototypes.weight": torch.randn(30, 128),
    }
    return prefixed({**state, **heads}, "module.")


def deepcluster_v2(state: State) -> dict[str, Any]:
    heads = {
        "projection_head.0.weight": torch.randn(2048, 8),
        "prototypes.prototypes0.weight": torch.randn(30, 128),
        "prototypes.prototypes1.weight": torch.randn(30, 128),
    }
    return {"epoch": 1, "state_dict": prefixed({**state, **heads}, "module."), "optimizer": {}}


def moco(state: State) -> dict[str, Any]:
    head = {"fc.0.weight": torch.randn(64, 8), "fc.2.bias": torch.randn(128)}
    named = {
        **prefixed({**state, **head}, "module.encoder_q."),
        **prefixed({**state, **head}, "module.encoder_k."),
        "module.queue": torch.randn(128, 30),
        "module.queue_ptr": torch.zeros(1, dtype=torch.long),
    }
    other = {name: value + 1 if "encoder_k" in name else value for name, value in named.items()}
    return {"epoch": 200, "arch": "resnet50", "state_dict": other, "optimizer": {}}


def moco_v3(state: State) -> dict[str, Any]:
    head = {"fc.0.weight": torch.randn(64, 8), "fc.1.running_var": torch.randn(64)}
    momentum = {name: value + 1 for name, value in {**state, **head}.items()}
    named = {
        **prefixed({**state, **head}, "module.base_encoder."),
        **prefixed(momentum, "module.momentum_encoder."),
        "module.predictor.0.weight": torch.randn(64, 8),
    }
    return {"epoch": 300, "arch": "resnet50", "state_dict": named, "optimizer": {}, "scaler": {}}


def dino(state: State) -> dict[str, Any]:
    head = {
        "head.mlp.0.weight": torch.randn(64, 8),
        "head.last_layer.weight_g": torch.ones(64, 1),
        "head.last_layer.weight_v": torch.randn(64, 8),
    }
    student = {name: value + 1 for name, value in state.items()}
    return {
        "student": prefixed({**prefixed(student, "backbone."), **head}, "module."),
        "teacher": prefixed({**prefixed(state, "backbone."), **head}, "module."),
        "optimizer": {"state": {}, "param_groups": []},
        "epoch": 800,
        "args": Namespace(arch="resnet50", patch_size=16),
        "dino_loss": {"center": torch.zeros(1, 64)},
    }


_C2 = (
    (r"^layer(\d)", lambda match: f"res{int(match[1]) + 1}"),
    (r"\.conv1\.", "_branch2a."),
    (r"\.bn1\.", "_branch2a_bn."),
    (r"\.conv2\.", "_branch2b."),
    (r"\.bn2\.", "_branch2b_bn."),
    (r"\.conv3\.", "_branch2c."),
    (r"\.bn3\.", "_branch2c_bn."),
    (r"\.downsample\.0\.", "_branch1."),
    (r"\.downsample\.1\.", "_branch1_bn."),
    (r"^bn1", "res_conv1_bn"),
    (r"(?<=bn)\.weight$", "_s"),
    (r"\.weight$", "_w"),
    (r"\.bias$", "_b"),
    (r"\.running_mean$", "_rm"),
    (r"\.running_var$", "_riv"),
    (r"\.", "_"),
)


def caffe2_name(name: str) -> str:
    for pattern, replacement in _C2:
        name = re.sub(pattern, replacement, name)
    return name


def caffe2(state: State) -> dict[str, Any]:
    """A network that reads blue first; arrays, and the optimiser among the weights."""
    blobs: dict[str, Any] = {}
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        array = (value.flip(1) if name == "conv1.weight" else value).numpy().copy()
        blobs[caffe2_name(name)] = array
        if "1" in name and array.ndim == 1 and "running" not in name:  # some of them
            blobs[f"{caffe2_name(name)}_momentum"] = 0 * array
    blobs |= {"pred_w": torch.randn(20, 8).numpy(), "pred_b": torch.randn(20).numpy()}
    return {"blobs": {**blobs, "model_iter": 50000, "lr": torch.tensor(0.1).numpy()}}


def caffe2_jigsaw(state: State) -> dict[str, Any]:
    """Patches pass the network, and each has the blobs under its own number; here two of nine."""
    blobs = {}
    for name, value in caffe2(state)["blobs"].items():
        if name in ("model_iter", "lr") or name.startswith("pred"):
            blobs[name] = value
            continue
        layer, part = re.fullmatch(r"(.+?)(_(?:w|s|b|rm|riv)(?:_momentum)?)", name).groups()  # type: ignore[union-attr]
        for patch in range(2):
            blobs[f"{layer}_s{patch}{part}"] = value + patch
    return {"blobs": {**blobs, "fc6_w": torch.randn(4, 4).numpy()}}


def efficientnet_pytorch(state: State) -> State:
    """The names of lukemelas' EfficientNet-PyTorch, for a network of timm with a classifier."""
    found = [re.findall(r"\d+", key)[:2] for key in state if key.startswith("blocks.")]
    blocks = sorted({(int(stage), int(block)) for stage, block in found})
    inner = {"conv_dw": "_depthwise_conv", "se.conv_reduce": "_se_reduce"}
    inner |= {"se.conv_expand": "_se_expand"}
    outer = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1"}
    outer |= {"classifier": "_fc"}
    renamed = {}
    for key, value in state.items():
        layer, _, tensor = key.rpartition(".")
        if not key.startswith("blocks."):
            renamed[f"{outer[layer]}.{tensor}"] = value
            continue
        _, stage, block, part = layer.split(".", 3)
        first = stage == "0"  # its blocks do not widen their features
        names = {"conv_pw": "_project_conv", "bn1": "_bn1", "bn2": "_bn2"}
        if not first:
            names = {"conv_pw": "_expand_conv", "conv_pwl": "_project_conv"}
            names |= {"bn1": "_bn0", "bn2": "_bn1", "bn3": "_bn2"}
        number = blocks.index((int(stage), int(block)))
        renamed[f"_blocks.{number}.{(inner | names)[part]}.{tensor}"] = value
    return renamed
