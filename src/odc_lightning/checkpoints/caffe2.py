"""Names of the Caffe2 networks of Goyal et al. (2019), translated to the backbones' names.

Their images have the channels in BGR order, are scaled to 0 to 1 and normalised with ImageNet's
usual mean and standard deviation, so the input differs only in the order of the channels. The
strides are in the same layers as in torchvision.
"""

import re

_PARTS = {"w": "weight", "b": "bias"}
_NORM_PARTS = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
_BRANCHES = {
    "branch2a": "conv1",
    "branch2a_bn": "bn1",
    "branch2b": "conv2",
    "branch2b_bn": "bn2",
    "branch2c": "conv3",
    "branch2c_bn": "bn3",
    "branch1": "downsample.0",
    "branch1_bn": "downsample.1",
}
_ALEXNET_CONVOLUTIONS = {"1": 0, "2": 4, "3": 8, "4": 11, "5": 14}
_DROPPED = (
    (r".*_momentum$", "momentum of the optimiser"),
    (r"pred|fc|pool5", "classifier"),
    (r"lr$|model_iter$", "state of the training"),
    # Jigsaw: nine patches pass through the same network; its blobs are stored once per patch.
    (r".*_s[1-9](_|$)", "the same network for another patch"),
)


def resnet_name(blob: str) -> tuple[str | None, str]:
    """torchvision's name of a ResNet's blob, or None and the reason if the blob is dropped."""
    reason = _reason_to_drop(blob)
    if reason:
        return None, reason
    blob = _first_patch(blob)
    if match := re.fullmatch(r"conv1_(w|b)", blob):
        return f"conv1.{_PARTS[match[1]]}", ""
    if match := re.fullmatch(r"res_conv1_bn_(s|b|rm|riv)", blob):
        return f"bn1.{_NORM_PARTS[match[1]]}", ""
    if match := re.fullmatch(r"res(\d)_(\d+)_(branch\d[abc]?(?:_bn)?)_(w|s|b|rm|riv)", blob):
        stage, block, branch, part = match.groups()
        parts = _NORM_PARTS if branch.endswith("_bn") else _PARTS
        if branch in _BRANCHES and part in parts:
            return f"layer{int(stage) - 1}.{block}.{_BRANCHES[branch]}.{parts[part]}", ""
    return blob, ""


def alexnet_name(blob: str) -> tuple[str | None, str]:
    """DeepCluster's name of an AlexNet's blob, or None and the reason if the blob is dropped."""
    reason = _reason_to_drop(blob)
    if reason:
        return None, reason
    blob = _first_patch(blob)
    if match := re.fullmatch(r"conv([1-5])_(w|b)", blob):
        return f"features.{_ALEXNET_CONVOLUTIONS[match[1]]}.{_PARTS[match[2]]}", ""
    if match := re.fullmatch(r"conv([1-5])(?:_bn|norm)_(s|b|rm|riv)", blob):
        return f"features.{_ALEXNET_CONVOLUTIONS[match[1]] + 1}.{_NORM_PARTS[match[2]]}", ""
    return blob, ""


def _reason_to_drop(blob: str) -> str:
    return next((reason for pattern, reason in _DROPPED if re.match(pattern, blob)), "")


def _first_patch(blob: str) -> str:
    return re.sub(r"_s0(?=_|$)", "", blob)
