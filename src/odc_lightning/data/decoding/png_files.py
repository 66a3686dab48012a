"""PNG files whose texts, profiles or other additions Pillow refuses; no pixel needs them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks that the pixels and their orientation depend on, in animations too.
_NEEDED = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"IDAT", b"IEND"}


def open_leniently(path: Path) -> Image.Image:
    """Open a file with Pillow; odd additions of a PNG file are passed over.

    Pillow refuses, for example, compressed texts of more than a megabyte, as they may be
    decompression bombs. If the file is refused, it is opened without its additions. Those after the
    pixels are met only when the image is loaded.
    """
    try:
        image = Image.open(path)
    except (OSError, ValueError) as error:
        needed = _needed_chunks(path)
        if needed is None:
            raise
        try:
            image = Image.open(io.BytesIO(needed))
        except Exception:
            raise error from None
    stream: Any = getattr(image, "png", None)
    if stream is not None:
        call = stream.call

        def call_or_pass(cid: bytes, position: int, length: int) -> bytes:
            try:
                chunk: bytes = call(cid, position, length)
            except ValueError:  # raised after the chunk was read
                return b""
            return chunk

        stream.call = call_or_pass
    return image


def _needed_chunks(path: Path) -> bytes | None:
    """The file without its additions; None if it is not a PNG file."""
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return None
        content = file.read()
    return _SIGNATURE + b"".join(part for name, part in _chunks(content) if name in _NEEDED)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and bytes of each chunk; the last one may be incomplete."""
    start = 0
    while start + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, start)
        yield name, content[start : start + 12 + length]
        start += 12 + length
