"""A backbone gets all of its weights from a file, or none of them, and the user learns why."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from helpers import foreign
from odc_lightning.checkpoints import load_pretrained
from odc_lightning.models import VGG16, AlexNet, Backbone, ConvNet, ResNet


def network(width: int = 4) -> ConvNet:
    return ConvNet(width)


def saved(tmp_path: Path, content: Any) -> Path:
    torch.save(content, tmp_path / "weights.ckpt")
    return tmp_path / "weights.ckpt"


def state(backbone: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}{name}": value.clone() for name, value in backbone.state_dict().items()}


def equal(a: Backbone, b: Backbone) -> bool:
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


def refusal(backbone: Backbone, file: Path, **options: Any) -> str:
    """The message; the backbone has to be as it was."""
    before = state(backbone)
    with pytest.raises(ValueError, match=re.escape(str(file))) as caught:
        load_pretrained(backbone, file, **options)
    assert all(torch.equal(value, backbone.state_dict()[name]) for name, value in before.items())
    return str(caught.value)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: {"state_dict": {**weights("backbone."), "head.fc.weight": torch.ones(3)}},
        lambda weights: weights("backbone."),
        lambda weights: weights(""),
        lambda weights: {"state_dict": weights("")},
        lambda weights: weights("module."),
    ],
    ids=["a run's", "with prefix", "plain", "nested", "wrapped"],
)
def test_every_form_is_loaded_whole(tmp_path: Path, wrap: Any) -> None:
    trained, fresh = network(), network()
    trained.conv1[1].running_mean.fill_(3.0)  # type: ignore[operator]
    assert not equal(trained, fresh)
    load_pretrained(fresh, saved(tmp_path, wrap(lambda prefix: state(trained, prefix))))
    assert equal(trained, fresh)


def test_everything_that_does_not_fit_is_named_and_nothing_loaded(tmp_path: Path) -> None:
    weights = state(network())
    del weights["conv2.1.running_var"]
    weights["fc.weight"] = torch.ones(10, 32)
    weights["conv1.0.weight"] = torch.ones(5, 3, 3, 3)
    message = refusal(network(), saved(tmp_path, weights))
    for part in (
        "does not fit the backbone 'convnet', and nothing was loaded",
        "Missing in the file: conv2.1.running_var.",
        "Unknown to the backbone: fc.weight.",
        "Of another shape: conv1.0.weight (5, 3, 3, 3) instead of (4, 3, 3, 3).",
        "allow them by name: model.pretrained_allow=[conv1.*,conv2.*,fc.*]",
    ):
        assert part in message


def test_what_is_allowed_by_name(tmp_path: Path) -> None:
    trained, fresh = network(), network()
    weights = state(trained)
    del weights["conv2.1.running_var"]
    weights["fc.weight"] = torch.ones(10, 32)
    weights["conv1.0.weight"] = torch.ones(5, 3, 3, 3)
    before = state(fresh)
    file = saved(tmp_path, weights)
    allowed = ["conv2.1.running_var", "fc.*", "conv1.0.w*"]
    for left_out in range(3):
        some = [name for index, name in enumerate(allowed) if index != left_out]
        assert refusal(fresh, file, allow=some).count(":") >= 2
    conversion = load_pretrained(fresh, file, allow=allowed)
    after = fresh.state_dict()
    for name, value in trained.state_dict().items():
        kept = name in ("conv2.1.running_var", "conv1.0.weight")
        assert torch.equal(after[name], before[name] if kept else value), name
    said = {row.source or row.target: row.note for row in conversion.rows if row.note}
    assert said == {
        "conv2.1.running_var": "not in the file: left as initialised",
        "fc.weight": "unknown to the backbone, allowed",
        "conv1.0.weight": "(5, 3, 3, 3) instead of (4, 3, 3, 3), allowed: left as initialised",
    }
    assert conversion.summary == "(plain names): 22 weights taken, 1 dropped, 2 left as initialised"


def test_a_single_pattern_and_the_name_in_the_file(tmp_path: Path) -> None:
    content = {"state_dict": {**state(network(), "backbone."), "backbone.fc.bias": torch.ones(3)}}
    load_pretrained(network(), saved(tmp_path, content), allow="backbone.fc.*")


def test_allowing_everything_is_no_start(tmp_path: Path) -> None:
    file = saved(tmp_path, state(ResNet("resnet18")))
    assert "no weight of the checkpoint" in refusal(network(), file, allow=["*"])


def test_another_network_altogether(tmp_path: Path) -> None:
    message = refusal(ResNet("resnet18"), saved(tmp_path, state(network())))
    assert re.search(r"Missing in the file: conv1\.weight, .* and 112 more", message)
    assert message.endswith("The file looks like a convnet: choose model=convnet.")


@pytest.mark.parametrize(
    ("file", "backbone", "cause"),
    [
        (lambda: ResNet("resnet18"), lambda: ResNet("resnet50"), "choose model=resnet18."),
        (
            lambda: ResNet("resnet18", sobel=True),
            lambda: ResNet("resnet18"),
            "It has a Sobel filter in front: add model.backbone.sobel=true.",
        ),
        (
            lambda: ResNet("resnet18"),
            lambda: ResNet("resnet18", sobel=True),
            "It has no Sobel filter in front: add model.backbone.sobel=false.",
        ),
        (
            lambda: ResNet("resnet18", small_images=True),
            lambda: ResNet("resnet18"),
            "add model.backbone.small_images=true.",
        ),
        (
            lambda: ResNet("resnet18"),
            lambda: ResNet("resnet18", small_images=True),
            "add model.backbone.small_images=false.",
        ),
        (lambda: network(8), network, "add model.backbone.width=8."),
    ],
)
def test_the_likely_cause_is_named(tmp_path: Path, file: Any, backbone: Any, cause: str) -> None:
    assert cause in refusal(backbone(), saved(tmp_path, state(file())))


def on_meta(make: Any) -> Any:
    with torch.device("meta"):
        return make()


def shapes_of(backbone: Backbone) -> dict[str, Tensor]:
    """Its names and shapes, in a file of a few kilobytes."""
    return {name: torch.zeros(()).expand(v.shape) for name, v in backbone.state_dict().items()}


def test_deeper_networks_than_those_of_the_configs(tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    file = saved(tmp_path, shapes_of(on_meta(torchvision.models.resnet34)))
    assert "choose model=timm model.backbone.name=resnet34." in refusal(ResNet("resnet18"), file)


def test_alexnet_for_vgg16(tmp_path: Path) -> None:
    file = saved(tmp_path, shapes_of(on_meta(VGG16)))
    with pytest.raises(ValueError, match="looks like a vgg16: choose model=vgg16"):
        load_pretrained(on_meta(AlexNet), file)


def test_grouped_convolutions_without_normalisation(tmp_path: Path) -> None:
    """VISSL's alexnet_bvlc."""
    sizes = {0: (96, 3, 11, 11), 2: (256, 48, 5, 5), 4: (384, 256, 3, 3)}
    sizes |= {5: (384, 192, 3, 3), 6: (256, 192, 3, 3)}
    trunk = {f"_feature_blocks.{n}.0.weight": torch.zeros(()).expand(s) for n, s in sizes.items()}
    file = saved(tmp_path, {"model_state_dict": trunk})
    with pytest.raises(ValueError, match=r"no batch normalisation.*have two groups"):
        load_pretrained(on_meta(AlexNet), file)


def test_a_sobel_filter_in_the_file(tmp_path: Path) -> None:
    weights = {**state(ResNet("resnet18", sobel=True)), **foreign.sobel()}
    file = saved(tmp_path, weights)
    assert "add model.backbone.sobel=true" in refusal(ResNet("resnet18"), file)
    load_pretrained(ResNet("resnet18", sobel=True), file)
    weights["sobel.1.weight"] = -weights["sobel.1.weight"]
    file = saved(tmp_path, weights)
    message = refusal(ResNet("resnet18", sobel=True), file)
    assert "sobel.1.weight of the checkpoint" in message
    assert "expected the weights of this package's Sobel filter" in message


@torch.no_grad()
def test_a_grey_stem_is_spread_over_the_colours(tmp_path: Path) -> None:
    trained, fresh = ResNet("resnet18").eval(), ResNet("resnet18").eval()
    weights = state(trained)
    weights["conv1.weight"] = grey = torch.randn(64, 1, 7, 7)
    conversion = load_pretrained(fresh, saved(tmp_path, weights))
    assert "conv1.weight: spread from grey over red, green and blue" in conversion.summary
    colour = torch.randn(2, 3, 64, 64)
    luma = (0.299 * colour[:, :1] + 0.587 * colour[:, 1:2] + 0.114 * colour[:, 2:]).contiguous()
    stem = fresh.get_submodule("conv1")
    expected = nn.functional.conv2d(luma, grey, stride=2, padding=3)
    torch.testing.assert_close(stem(colour), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("make", [foreign.vissl, foreign.caffe2])
def test_the_lightness_of_lab_is_refused(tmp_path: Path, make: Any) -> None:
    """Colorization of Goyal et al."""
    weights = state(ResNet("resnet50"))
    weights["conv1.weight"] = torch.randn(64, 1, 7, 7)
    content = (
        {"blobs": {name: torch.as_tensor(blob) for name, blob in make(weights)["blobs"].items()}}
        if make is foreign.caffe2
        else make(weights)
    )
    fresh = ResNet("resnet50")
    file = saved(tmp_path, content)
    message = refusal(fresh, file)
    assert "Of another shape: conv1.weight (64, 1, 7, 7) instead of (64, 3, 7, 7)" in message
    assert "lightness of Lab images" in message
    load_pretrained(fresh, file, allow=["conv1.weight"])
    assert torch.equal(
        fresh.state_dict()["layer1.0.conv1.weight"], weights["layer1.0.conv1.weight"]
    )


def test_the_table_of_all_keys(tmp_path: Path) -> None:
    content = {"state_dict": {**state(network(), "backbone."), "head.fc.weight": torch.ones(3, 2)}}
    conversion = load_pretrained(network(), saved(tmp_path, content))
    conversion.write_csv(tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0] == "source,target,shape,note"
    assert lines[1] == "backbone.conv1.0.weight,conv1.0.weight,4x3x3x3,"
    assert lines[-1] == "head.fc.weight,,3x2,head"
    printed = conversion.table().splitlines()
    assert len(printed) == len(lines) == 26
    assert printed[-1].split() == ["head.fc.weight", "3x2", "head"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.nan, r"conv2\.0\.weight has NaN or infinite values.*had diverged"),
        (torch.inf, "NaN or infinite"),
        (None, r"conv2\.0\.weight is of torch\.int8.*quantised"),
    ],
)
def test_values_that_are_no_weights(tmp_path: Path, value: float | None, message: str) -> None:
    weights = state(network())
    if value is None:
        weights["conv2.0.weight"] = weights["conv2.0.weight"].to(torch.int8)
    else:
        weights["conv2.0.weight"][0, 0, 0, 0] = value
    fresh = network()
    before = state(fresh)
    with pytest.raises(ValueError, match=message):
        load_pretrained(fresh, saved(tmp_path, weights))
    assert all(torch.equal(before[name], now) for name, now in fresh.state_dict().items())


def test_two_networks_in_one_file(tmp_path: Path) -> None:
    weights = {**state(network()), **state(network(), prefix="module.")}
    with pytest.raises(ValueError, match="holds two networks, 'conv1"):
        load_pretrained(network(), saved(tmp_path, weights))


def test_every_level_beside_the_network_is_reported(tmp_path: Path) -> None:
    trunk = {f"_feature_blocks.{name}": value for name, value in state(network()).items()}
    model = {"model": {"trunk": trunk, "heads": {"0.weight": torch.ones(2)}}, "meters": {}}
    content = {"classy_state_dict": {"base_model": model, "optimizer": {}}, "loss": 1.0}
    conversion = load_pretrained(network(), saved(tmp_path, content))
    dropped = {row.source for row in conversion.rows if row.note == "not in the chosen network"}
    base = "classy_state_dict.base_model"
    optimizer = "classy_state_dict.optimizer"
    assert dropped == {"loss", optimizer, f"{base}.meters", f"{base}.model.heads"}
