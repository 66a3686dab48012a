"""Whether the images are those that a memory is about: the i-th row is the i-th image."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from odc_lightning.data.sources import ImageSource

SHOWN = 3  # differences in a message


def fingerprints(source: ImageSource) -> Tensor:
    """A number (N,) int64 for each image: of its name if it is a file, else of its pixels.

    A folder that was moved or copied as a whole has the same; what is in a file is not looked at.
    """
    return torch.tensor([_fingerprint(source, index) for index in range(len(source))])


def check_same_images(
    before: Tensor, now: Tensor, names: Sequence[str], names_before: Sequence[str] | None
) -> None:
    """Refuse other images than those that a checkpoint is about.

    Args:
        before: fingerprints (N,) of the checkpoint.
        now: those of the images that are there.
        names: of the images that are there.
        names_before: those of the checkpoint's images, if they are known.

    Raises:
        ValueError: if they differ, with the first differences.
    """
    if len(before) == len(now) and bool((before == now).all()):
        return
    common = min(len(before), len(now))
    differ = torch.nonzero(before[:common] != now[:common]).flatten().tolist()
    known = names_before if names_before and len(names_before) == len(before) else None

    def was(index: int) -> str:
        return f", and was {known[index]!r}" if known else ""

    lines = [f"image {index} is {names[index]!r}{was(index)}" for index in differ[:SHOWN]]
    if len(before) != len(now):
        lines.append(
            f"image {common} is {names[common]!r}, and there was none"
            if len(now) > common
            else f"image {common} is not there" + was(common).replace(", and", ", it")
        )
    raise ValueError(
        f"the images are not those of the checkpoint ({len(before):,} there, {len(now):,} here; "
        f"{len(differ):,} of the first {common:,} differ): {'; '.join(lines)}. A run can only go "
        "on with the images that it began with, in their order: restore them, or begin a new run "
        "(model.pretrained=... takes the backbone over)"
    )


def _fingerprint(source: ImageSource, index: int) -> int:
    if source.path(index) is None:
        content = source.load(index).tobytes()
    else:
        content = source.name(index).encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)
