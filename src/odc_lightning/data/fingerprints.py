"""Fingerprints of the training images, to check that row i of a memory still is image i."""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from odc_lightning.data.sources import ImageSource

SHOWN = 3  # differences in a message


def fingerprints(source: ImageSource) -> Tensor:
    """Hashes (N,) int64, one per image: of its name if it is a file, else of its pixels.

    A folder that was moved or copied as a whole keeps its fingerprints. The content of files is not
    read.
    """
    return torch.tensor([_fingerprint(source, index) for index in range(len(source))])


def check_same_images(
    before: Tensor, now: Tensor, names: Sequence[str], names_before: Sequence[str] | None
) -> None:
    """Check that the images are the checkpoint's.

    Args:
        before: fingerprints (N,) in the checkpoint.
        now: fingerprints of the present images.
        names: names of the present images.
        names_before: names of the checkpoint's images, if they are known.

    Raises:
        ValueError: if they differ; the message lists the first differences.
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
            f"image {common} is {names[common]!r}, and the checkpoint has no such image"
            if len(now) > common
            else f"image {common} is missing" + was(common).replace(", and", ", it")
        )
    raise ValueError(
        f"the images are not those of the checkpoint ({len(before):,} there, {len(now):,} here; "
        f"{len(differ):,} of the first {common:,} differ): {'; '.join(lines)}. A run can only "
        "resume with the images it started with, in the same order: restore them, or start a new "
        "run (model.pretrained=CHECKPOINT keeps the backbone)"
    )


def _fingerprint(source: ImageSource, index: int) -> int:
    if source.path(index) is None:
        content = source.load(index).tobytes()
    else:
        content = source.name(index).encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)
