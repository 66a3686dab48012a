"""Advice for a checkpoint that does not fit a network: likely causes and options to change."""

import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from odc_lightning.checkpoints import efficientnet
from odc_lightning.models import Backbone
from odc_lightning.models.timm_backbone import PREFIX

_RESNETS = {
    (False, 8): "resnet18",
    (False, 16): "resnet34",
    (True, 16): "resnet50",
    (True, 33): "resnet101",
    (True, 50): "resnet152",
}
_DEEPCLUSTERS = {5: "alexnet", 13: "vgg16"}  # by the number of convolutions
OPTIONS = ("alexnet", "convnet", "resnet18", "resnet50", "vgg16")  # of the config group model


def what_to_do(
    weights: Mapping[str, Tensor],
    backbone: Backbone,
    differing: Sequence[str],
    lightness: bool,
    option: str,
) -> list[str]:
    """Sentences that tell a user how to make the checkpoint and the network match.

    Args:
        weights: weights in the file, by the backbone's names.
        backbone: the network that they do not fit.
        differing: names of weights that are missing, unknown or of another shape.
        lightness: see `likely_causes`.
        option: the option by which the user gave the file.
    """
    file, network = (
        {name.removeprefix(PREFIX): weight for name, weight in named.items()}
        for named in (weights, backbone.state_dict())
    )
    sentences = likely_causes(file, network, backbone.name, lightness)
    if not sentences:
        sentences = ["Choose the model of the checkpoint (model=...)."]
    patterns = sorted({_pattern(name) for name in differing})
    # Only if less than half of the network differs: more would be another network.
    if 2 * len(differing) < len(network) and len(patterns) <= 3:
        allowed = f"{option}_allow=[{','.join(patterns)}]"
        sentences.append(f"If these weights are meant to differ, allow them by name: {allowed}")
    return sentences


def likely_causes(
    weights: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    network: str,
    lightness: bool,
) -> list[str]:
    """Likely differences between the file's network and the backbone, as sentences.

    Args:
        weights: weights in the file, by the backbone's names.
        expected: weights of the backbone.
        network: the backbone's name.
        lightness: whether a file of one input channel reads the lightness of Lab images.
    """
    name = network_name(weights) or efficientnet.network_name(weights)
    if name is not None and not network.startswith(name):  # timm has a resnet50d, too
        choice = name if name in OPTIONS else f"timm model.backbone.name={name}"
        return [f"The file looks like a {name}: choose model={choice}."]
    causes = []
    stem = next((name for name, value in expected.items() if value.ndim == 4), None)
    if stem is not None and stem in weights and weights[stem].ndim == 4:
        causes += _stem_causes(weights[stem], expected[stem], lightness)
    if name == network == "convnet":
        width = len(weights["conv1.1.running_mean"])
        if width != len(expected["conv1.1.running_mean"]):
            causes.append(f"It has another width: add model.backbone.width={width}.")
    if not any(name.endswith("running_mean") for name in weights) and any(
        name.endswith("running_mean") for name in expected
    ):
        causes.append("It has no batch normalisation, but this network does.")
    if _grouped(weights, {key: value for key, value in expected.items() if key != stem}):
        causes.append(
            "Its convolutions have two groups, as in Caffe's AlexNet; this package has no such "
            "network."
        )
    return causes


def _pattern(name: str) -> str:
    """``classifier.*`` of ``classifier.1.weight``."""
    prefix = PREFIX if name.startswith(PREFIX) else ""
    first, _, rest = name.removeprefix(prefix).partition(".")
    return f"{prefix}{first}.*" if rest else name


def network_name(names: Iterable[str]) -> str | None:
    """Name of the network whose weights have these names; None if it is not known."""
    names = set(names)
    blocks = {
        match[1] for name in names if (match := re.match(r"(layer\d\.\d+)\.conv1\.weight", name))
    }
    if blocks:
        return _RESNETS.get(("layer1.0.conv3.weight" in names, len(blocks)))
    if "conv4.1.running_mean" in names:
        return "convnet"
    layers = {match[1] for name in names if (match := re.match(r"features\.(\d+)\.weight", name))}
    norms = {name for name in names if re.match(r"features\.\d+\.running_mean", name)}
    return _DEEPCLUSTERS.get(len(layers) - len(norms))


def _stem_causes(file: Tensor, network: Tensor, lightness: bool) -> list[str]:
    causes = []
    channels, expected = file.shape[1], network.shape[1]
    if (channels, expected) == (2, 3):
        causes.append("It has a Sobel filter in front: add model.backbone.sobel=true.")
    elif (channels, expected) == (3, 2):
        causes.append("It has no Sobel filter in front: add model.backbone.sobel=false.")
    elif channels == 1 and lightness:
        causes.append(
            "It reads only the lightness of Lab images, from -50 to 50, as it was trained for "
            "colorization; this package's networks read RGB."
        )
    elif channels != expected:
        causes.append(f"It reads {channels} channels instead of {expected}.")
    if (file.shape[-1], network.shape[-1]) == (3, 7):
        causes.append("Its stem is for small images: add model.backbone.small_images=true.")
    elif (file.shape[-1], network.shape[-1]) == (7, 3):
        causes.append("Its stem is for large images: add model.backbone.small_images=false.")
    return causes


def _grouped(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    """Whether a convolution in the file reads half as many channels as the backbone's."""
    pairs = [
        (weights[name].shape, value.shape) for name, value in expected.items() if name in weights
    ]
    return any(
        len(file) == len(network) == 4 and (file[0], 2 * file[1], *file[2:]) == tuple(network)
        for file, network in pairs
    )
