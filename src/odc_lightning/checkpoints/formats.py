"""Checkpoint formats of other projects, and the translation of their keys to the backbones' names.

Backbones have torchvision's names for ResNets, DeepCluster's for AlexNet and VGG, timm's for the
rest. A format says by which key it is recognised, and which of its keys belong to the backbone.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from odc_lightning.checkpoints import caffe2, efficientnet
from odc_lightning.checkpoints.conversion import Conversion, Row
from odc_lightning.checkpoints.mismatch import network_name
from odc_lightning.checkpoints.places import Candidate, beside, candidates, tensor_of

# From a key to its name in the backbone (None if it is dropped) and the reason.
Naming = Callable[[str], tuple[str | None, str]]

# What torch.optim.swa_utils saves beside the weights of an averaged network.
_COUNTERS = ("n_averaged",)
STEMS = ("conv1.weight", "features.0.weight")  # the first convolutions of ResNets, of AlexNet, VGG


def by_rules(*rules: tuple[str, str | None, str]) -> Naming:
    """A naming by the first rule that matches the start of a key; other keys keep their names.

    Args:
        rules: pattern, its replacement (None if the key is dropped), reason.
    """

    def name(key: str) -> tuple[str | None, str]:
        for pattern, replacement, reason in rules:
            if match := re.match(pattern, key):
                kept = None if replacement is None else replacement + key[match.end() :]
                return kept, reason
        return key, ""

    return name


@dataclass(frozen=True)
class Format:
    """One project's checkpoints.

    Attributes:
        name: the project's name.
        sign: pattern at the start of one of the keys, by which the format is recognised.
        naming: from a key, without the prefix ``module.``, to the backbone's name.
        beside: a top-level key that the file must have as well.
        bgr: whether the input channels are in BGR order.
        lightness: whether a network of one input channel reads the lightness of Lab images.
        naming_for: gives the naming for the names of a backbone's weights, where it depends on
            them; used instead of ``naming``.
    """

    name: str
    sign: str
    naming: Naming
    beside: str | None = None
    bgr: bool = False
    lightness: bool = False
    naming_for: Callable[[Collection[str]], Naming] | None = None

    def of(self, expected: Collection[str]) -> "Format":
        """The format with its naming for a backbone whose weights have these names."""
        if self.naming_for is None:
            return self
        return replace(self, naming=self.naming_for(expected), naming_for=None)


# Blocks of a VISSL AlexNet -> index of the convolution in DeepCluster's; the normalisation has the
# next index.
_VISSL_ALEXNET = {0: 0, 2: 4, 4: 8, 5: 11, 6: 14}
_UNDER_BACKBONE = by_rules(
    (r"backbone\.", "", ""),
    (r"neck\.", None, "neck"),
    (r"head\.", None, "head"),
    (r"", None, "not of the backbone"),
)
# The first format that matches is used, so more specific formats come first.
FORMATS = (
    Format(
        "VISSL",
        r"_feature_blocks\.",
        by_rules(
            *(
                (rf"_feature_blocks\.{block}\.{part}\.", f"features.{place + part}.", "")
                for block, place in _VISSL_ALEXNET.items()
                for part in (0, 1)
            ),
            (r"_feature_blocks\.", "", ""),
        ),
        lightness=True,
    ),
    Format("odc_lightning", r"backbone\.", _UNDER_BACKBONE, beside="pytorch-lightning_version"),
    Format(
        "DINO",
        r"backbone\.",
        by_rules((r"backbone\.", "", ""), (r"", None, "projection head")),
        beside="teacher",
    ),
    Format("OpenSelfSup or mmselfsup", r"backbone\.", _UNDER_BACKBONE, beside="meta"),
    Format("names under backbone", r"backbone\.", _UNDER_BACKBONE),
    Format(
        "MoCo",
        r"encoder_q\.",
        by_rules(
            (r"encoder_q\.(fc|head)\.", None, "projection head"),
            (r"encoder_q\.", "", ""),
            (r"encoder_k\.", None, "momentum encoder"),
            (r"queue", None, "queue of keys"),
        ),
    ),
    Format(
        "MoCo v3",
        r"base_encoder\.",
        by_rules(
            (r"base_encoder\.(fc|head)\.", None, "projection head"),
            (r"base_encoder\.", "", ""),
            (r"momentum_encoder\.", None, "momentum encoder"),
            (r"predictor\.", None, "prediction head"),
        ),
    ),
    Format(
        "SwAV or DeepCluster-v2",
        r"projection_head\.|prototypes\.",
        by_rules(
            (r"projection_head\.", None, "projection head"),
            (r"prototypes\.", None, "prototypes"),
        ),
    ),
    Format(
        "DeepCluster",
        r"features\.module\.|top_layer\.|sobel\.",
        by_rules(
            (r"features\.module\.", "features.", ""),
            (r"top_layer\.", None, "classifier of the clusters"),
        ),
    ),
    Format(
        "torchvision's names",
        r"layer1\.0\.conv1\.weight",
        by_rules((r"fc\.", None, "classifier")),
    ),
    Format(
        "torchvision's names",
        r"classifier\.6\.weight",
        by_rules((r"classifier\.6\.", None, "classifier")),
    ),
    Format("Caffe2", r"res2_0_branch2a(_s0)?_w$", caffe2.resnet_name, bgr=True, lightness=True),
    Format("Caffe2", r"conv5(_s0)?_w$", caffe2.alexnet_name, bgr=True, lightness=True),
    Format(
        "EfficientNet-PyTorch",
        efficientnet.SIGN,
        by_rules(),
        naming_for=efficientnet.naming,
    ),
    Format("plain names", r"", by_rules()),
)


def convert(content: Mapping[str, Any], expected: Collection[str] = ()) -> Conversion:
    """Find the weights of a backbone in a checkpoint, and rename them to the backbone's names.

    Args:
        content: the checkpoint's content, in any of the `FORMATS`.
        expected: the names of the backbone's weights. Of several networks in the file, and of
            several prefixes, those are taken under which most names are expected.

    Raises:
        ValueError: if it has no weights by name, or two networks that fit equally well.
    """
    found = candidates(content, expected)
    forms = [_format_of(candidate, content).of(expected) for candidate in found]
    ranks = [_rank(*pair, expected) for pair in zip(found, forms, strict=True)]
    best = ranks.index(max(ranks))
    chosen, form = found[best], forms[best]
    own = set(chosen.names.values())
    others = [
        each
        for each, rank in zip(found, ranks, strict=True)
        if rank == ranks[best]
        and (each.place != chosen.place or own.isdisjoint(each.names.values()))
    ]
    if expected and others and not chosen.is_known:
        raise ValueError(
            "the checkpoint holds networks that fit equally well, under "
            f"{', '.join(each.title for each in (chosen, *others))}; save one of them with "
            "torch.save"
        )
    weights: dict[str, Tensor] = {}
    rows: list[Row] = []
    for name, key in chosen.names.items():
        value = tensor_of(chosen.values[key])
        target, note = form.naming(name)
        if value is None:
            rows.append(Row(key, None, None, "not a tensor"))
            continue
        if name in _COUNTERS:
            target, note = None, "number of averaged networks"
        if target is not None:
            if form.bgr and target in STEMS and value.shape[1] == 3:
                value, note = value.flip(1), "turned from BGR to RGB"
            weights[target] = value
        rows.append(Row(key, target, tuple(value.shape), note))
    for key, value in chosen.values.items():
        if key not in own:
            shape = None if (tensor := tensor_of(value)) is None else tuple(tensor.shape)
            rows.append(Row(key, None, shape, f"not under {chosen.prefix}"))
    unused = beside(content, chosen.place)
    rows += [Row(key, None, None, "not in the chosen network") for key in unused]
    averages = [
        each.title
        for each, rank in zip(found, ranks, strict=True)
        if each.is_average and rank.fits == ranks[best].fits and each is not chosen
    ]
    return Conversion(form.name, weights, rows, form.lightness, _note(chosen, averages))


class _Rank(NamedTuple):
    """How well weights suit the backbone; larger is better."""

    fits: int
    is_no_average: bool
    fewer_unknown: int
    is_recognised: bool  # decides if no name fits, for the error message


def _rank(candidate: Candidate, form: Format, expected: Collection[str]) -> _Rank:
    targets = [form.naming(name)[0] for name in candidate.names]
    fits = sum(target in expected for target in targets)
    unknown = sum(target is not None and target not in expected for target in targets)
    is_recognised = form.sign != "" or network_name(candidate.names) is not None
    return _Rank(fits, not candidate.is_average, -unknown if fits else 0, fits > 0 or is_recognised)


def _format_of(candidate: Candidate, content: Mapping[str, Any]) -> Format:
    return next(
        form
        for form in FORMATS
        if (form.beside is None or form.beside in content)
        and any(re.match(form.sign, name) for name in candidate.names)
    )


def _note(chosen: Candidate, averages: Sequence[str]) -> str:
    """Which weights were taken, if that is not obvious."""
    if chosen.is_average:
        return f"the moving average of the weights, {chosen.title}"
    if averages:
        under = chosen.title or "the top level"
        return f"the weights under {under}, not their moving average under {averages[0]}"
    return f"the weights under {chosen.prefix}" if chosen.prefix else ""
