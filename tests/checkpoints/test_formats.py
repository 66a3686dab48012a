"""Every format gives back the network that it was made from, bit for bit."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch

from helpers import foreign
from odc_lightning.checkpoints import Conversion, convert, efficientnet, load_pretrained
from odc_lightning.checkpoints.sobel import SOBEL
from odc_lightning.models import VGG16, AlexNet, Backbone, ResNet, TimmBackbone

Make = Callable[[foreign.State], dict[str, Any]]


def trained(make: Callable[[], Backbone], seed: int = 1) -> Backbone:
    """A network no two weights of which are equal."""
    torch.manual_seed(seed)
    network = make().eval()
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.5, 1.5) if value.ndim == 1 else value.normal_(std=0.03)
            else:
                value.fill_(7)
    return network


@pytest.fixture(scope="module")
def resnet50() -> Backbone:
    return trained(lambda: ResNet("resnet50"))


@pytest.fixture(scope="module")
def resnet18() -> Backbone:
    return trained(lambda: ResNet("resnet18"))


@pytest.fixture(scope="module")
def alexnet() -> Backbone:
    return trained(lambda: AlexNet(sobel=True))


def state(network: Backbone) -> foreign.State:
    return {name: value.clone() for name, value in network.state_dict().items()}


def load(tmp_path: Path, content: Any, fresh: Backbone, **options: Any) -> Conversion:
    file = tmp_path / "weights.pth"
    torch.save(content, file)
    return load_pretrained(fresh, file, **options)


@torch.no_grad()
def assert_same(fresh: Backbone, network: Backbone, size: int = 64, counts: bool = True) -> None:
    for name, value in network.state_dict().items():
        if counts or not name.endswith("num_batches_tracked"):
            assert torch.equal(fresh.state_dict()[name], value), name
    images = torch.randn(2, 3, size, size)
    assert torch.equal(fresh.eval()(images), network(images))


def notes(conversion: Conversion) -> dict[str, str]:
    return {row.source: row.note for row in conversion.rows if row.target is None}


RESNETS = [
    (foreign.torchvision, "torchvision's names", {"fc.weight": "classifier"}),
    (
        foreign.openselfsup,
        "OpenSelfSup or mmselfsup",
        {
            "neck.fc0.weight": "neck",
            "head.fc_cls.bias": "head",
            "memory_bank.feature_bank": "not of the backbone",
            "optimizer": "not in the chosen network",
        },
    ),
    (lambda s: s, "torchvision's names", {}),  # extracted by OpenSelfSup, DINO, VISSL
    (
        foreign.vissl,
        "VISSL",
        {"phase_idx": "not in the chosen network"},
    ),
    (
        lambda s: {"model_state_dict": foreign.prefixed(s, "_feature_blocks.")},
        "VISSL",
        {},
    ),
    (
        foreign.swav,
        "SwAV or DeepCluster-v2",
        {
            "module.projection_head.0.weight": "projection head",
            "module.prototypes.weight": "prototypes",
        },
    ),
    (
        foreign.deepcluster_v2,
        "SwAV or DeepCluster-v2",
        {"module.prototypes.prototypes1.weight": "prototypes"},
    ),
    (
        foreign.moco,
        "MoCo",
        {
            "module.encoder_q.fc.0.weight": "projection head",
            "module.encoder_k.conv1.weight": "momentum encoder",
            "module.queue": "queue of keys",
            "module.queue_ptr": "queue of keys",
        },
    ),
    (
        foreign.moco_v3,
        "MoCo v3",
        {
            "module.base_encoder.fc.0.weight": "projection head",
            "module.momentum_encoder.layer1.0.conv1.weight": "momentum encoder",
            "module.predictor.0.weight": "prediction head",
        },
    ),
    (
        foreign.dino,
        "DINO",
        {
            "module.head.last_layer.weight_g": "projection head",
            "student": "not in the chosen network",
        },
    ),
]


@pytest.mark.parametrize(("make", "name", "dropped"), RESNETS)
def test_resnets(
    tmp_path: Path, resnet18: Backbone, make: Make, name: str, dropped: dict[str, str]
) -> None:
    fresh = ResNet("resnet18")
    conversion = load(tmp_path, make(state(resnet18)), fresh)
    assert conversion.format == name
    assert_same(fresh, resnet18)
    assert dropped.items() <= notes(conversion).items()
    assert set(conversion.weights) == set(resnet18.state_dict())


def test_resnet50(tmp_path: Path, resnet50: Backbone) -> None:
    fresh = ResNet("resnet50")
    load(tmp_path, foreign.dino(state(resnet50)), fresh)
    assert_same(fresh, resnet50)


def test_every_key_is_reported_once(tmp_path: Path, resnet18: Backbone) -> None:
    content = foreign.moco(state(resnet18))
    conversion = load(tmp_path, content, ResNet("resnet18"))
    of_tensors = [row.source for row in conversion.rows if row.shape is not None]
    assert of_tensors == list(content["state_dict"])
    assert {row.source for row in conversion.rows if row.shape is None} == {
        "epoch",
        "arch",
        "optimizer",
    }
    taken = {row.source: row.target for row in conversion.rows if row.target}
    assert taken["module.encoder_q.layer1.0.bn1.weight"] == "layer1.0.bn1.weight"
    summary = "(MoCo): 120 weights taken, 126 dropped"
    assert conversion.summary == summary


def test_ours(tmp_path: Path, resnet18: Backbone) -> None:
    content = {
        "pytorch-lightning_version": "2.6.6",
        "state_dict": {
            **foreign.prefixed(state(resnet18), "backbone."),
            "neck.fc0.weight": torch.ones(3),
            "head.weight": torch.ones(3),
        },
        "callbacks": {},
    }
    fresh = ResNet("resnet18")
    conversion = load(tmp_path, content, fresh)
    assert conversion.format == "odc_lightning"
    assert_same(fresh, resnet18)
    assert notes(conversion)["head.weight"] == "head"


def test_wrapped_by_data_parallel(tmp_path: Path, resnet18: Backbone) -> None:
    fresh = ResNet("resnet18")
    load(tmp_path, foreign.prefixed(state(resnet18), "module."), fresh)
    assert_same(fresh, resnet18)


@pytest.mark.parametrize("make", [foreign.caffe2, foreign.caffe2_jigsaw])
@torch.no_grad()
def test_caffe2_reads_blue_first(tmp_path: Path, resnet50: Backbone, make: Make) -> None:
    file, fresh = tmp_path / "c2_model_iter.pkl", ResNet("resnet50")
    content = make(state(resnet50))
    file.write_bytes(pickle.dumps(content, protocol=2))
    conversion = load_pretrained(fresh, file, trusted=True)
    assert conversion.format == "Caffe2"
    assert_same(fresh, resnet50, counts=False)
    found = notes(conversion)
    assert found["pred_w"] == "classifier"
    assert found["model_iter"] == "not a tensor"
    assert "conv1.weight: turned from BGR to RGB" in conversion.summary
    momentum = [name for name in found if name.endswith("_momentum")]
    assert {found[name] for name in momentum} == {"momentum of the optimiser"}
    # The weights as they are in the file, on the image with its channels the other way round.
    raw = dict(state(resnet50))
    conv1 = content["blobs"].get("conv1_w", content["blobs"].get("conv1_s0_w"))
    raw["conv1.weight"] = torch.from_numpy(conv1)
    blue_first = ResNet("resnet50").eval()
    blue_first.load_state_dict(raw)
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(fresh.eval()(images), blue_first(images.flip(1)))


def test_names_of_blobs() -> None:
    name = foreign.caffe2_name
    assert name("conv1.weight") == "conv1_w"
    assert name("bn1.running_var") == "res_conv1_bn_riv"
    assert name("layer1.0.conv1.weight") == "res2_0_branch2a_w"
    assert name("layer1.0.bn1.weight") == "res2_0_branch2a_bn_s"
    assert name("layer4.2.bn3.bias") == "res5_2_branch2c_bn_b"
    assert name("layer1.0.downsample.0.weight") == "res2_0_branch1_w"
    assert name("layer1.0.downsample.1.running_mean") == "res2_0_branch1_bn_rm"


def test_deepclusters_alexnet(tmp_path: Path, alexnet: Backbone) -> None:
    fresh = AlexNet(sobel=True)
    conversion = load(tmp_path, foreign.deepcluster(state(alexnet)), fresh)
    assert conversion.format == "DeepCluster"
    assert_same(fresh, alexnet, size=224, counts=False)
    found = notes(conversion)
    assert found["top_layer.weight"] == "classifier of the clusters"
    assert found[f"{SOBEL}1.weight"] == "fixed filter, the same as here"


def test_vissls_alexnet_has_no_linear_layers(tmp_path: Path, alexnet: Backbone) -> None:
    content = foreign.vissl_alexnet(state(alexnet))
    fresh = AlexNet(sobel=True)
    before = state(fresh)
    with pytest.raises(
        ValueError,
        match=r"Missing in the file: classifier\.1\.weight.*allow them by "
        r"name: model\.pretrained_allow=\[classifier\.\*\]",
    ):
        load(tmp_path, content, fresh)
    conversion = load(tmp_path, content, fresh, allow=["classifier.*"])
    assert conversion.format == "VISSL"
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(fresh.eval().maps(images), alexnet.maps(images))
    assert torch.equal(fresh.state_dict()["classifier.1.weight"], before["classifier.1.weight"])
    assert "4 left as initialised" in conversion.summary


def test_vgg16_of_deepcluster_and_of_torchvision(tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in VGG16().state_dict().items()}
    # One number in place of 120 million weights: only names and shapes are looked at.
    network = {name: torch.ones(()).expand(shape) for name, shape in shapes.items()}
    for content, name, dropped in (
        (foreign.deepcluster(network, filtered=False), "DeepCluster", "top_layer.bias"),
        (
            {
                **network,
                "classifier.6.bias": torch.ones(9),
                "classifier.6.weight": torch.ones(9, 9),
            },
            "torchvision's names",
            "classifier.6.bias",
        ),
    ):
        conversion = convert(content)
        assert conversion.format == name
        assert notes(conversion)[dropped]
        counts = {key for key in shapes if key.endswith("num_batches_tracked")}
        assert set(conversion.weights) | counts == set(shapes)


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto", "vit_tiny_patch16_224"])
def test_timm(tmp_path: Path, name: str) -> None:
    theirs = timm.create_model(name, num_classes=10).eval()
    fresh = TimmBackbone(name)
    content = {
        "arch": name,
        "state_dict": theirs.state_dict(),
        "args": foreign.Namespace(lr=1),
    }
    conversion = load(tmp_path, content, fresh)
    dropped = [row for row in conversion.rows if row.shape is not None and row.target is None]
    assert {row.note for row in dropped} == {"classifier"}
    for key, value in theirs.state_dict().items():
        if key not in notes(conversion):
            assert torch.equal(fresh.state_dict()[f"network.{key}"], value)
    again = TimmBackbone(name)
    own = foreign.prefixed(state(fresh), "backbone.")
    assert load(tmp_path, {"state_dict": own}, again).format == "names under backbone"
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in state(fresh).items())


def test_a_resnet_of_another_project_for_timms(tmp_path: Path, resnet18: Backbone) -> None:
    fresh = TimmBackbone("resnet18")
    load(tmp_path, foreign.moco(state(resnet18)), fresh)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(fresh.eval()(images), resnet18(images))


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnet_b1"])
def test_efficientnet_pytorch(tmp_path: Path, name: str) -> None:
    theirs = timm.create_model(name, num_classes=10)
    content = foreign.efficientnet_pytorch(theirs.state_dict())
    assert "_blocks.1._depthwise_conv.weight" in content
    fresh = TimmBackbone(name)
    conversion = load(tmp_path, foreign.prefixed(content, "module."), fresh)
    assert conversion.format == "EfficientNet-PyTorch"
    assert [row.note for row in conversion.rows if row.target is None] == ["classifier"] * 2
    for key, value in fresh.network.state_dict().items():
        assert torch.equal(theirs.state_dict()[key], value), key
    assert efficientnet.network_name(content) == name
    assert efficientnet.network_name(theirs.state_dict()) is None
    with pytest.raises(ValueError, match=f"choose model=timm model.backbone.name={name}"):
        load(tmp_path, content, ResNet("resnet18"))


def test_no_weights() -> None:
    with pytest.raises(
        ValueError, match=r"holds \['epoch'\] and no weights by name; expected weights under one"
    ):
        convert({"epoch": 3})
    with pytest.raises(ValueError, match="no weights by name under state_dict"):
        convert({"state_dict": torch.ones(3)})
    with pytest.raises(ValueError, match="no weights by name"):
        convert({0: torch.ones(3)})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"under classy_state_dict\.base_model\.model\.trunk"):
        convert({"classy_state_dict": {"base_model": {}}})


def test_arrays_keep_their_shape_and_kind() -> None:
    arrays = {"a": np.array(7), "b": np.ones((2, 3))[:, ::-1], "c": np.array(["text"])}
    conversion = convert(arrays)
    assert conversion.weights["a"].shape == ()
    assert conversion.weights["b"].shape == (2, 3)
    assert notes(conversion) == {"c": "not a tensor"}
