"""PNG and TIFF files byte by byte, with what Pillow itself does not write."""

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

Entry = tuple[int, int, int, bytes]  # tag, type, count, value or offset

TURNED = (0x112, 3, 1, struct.pack("<HH", 6, 0))  # to be turned by 90 degrees clockwise


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(
    values: np.ndarray, bits: int = 8, before: bytes = b"", after: bytes = b"", size: int = 0
) -> bytes:
    """Values (H, W, channels); chunks before and after the pixels; or a black square of a size."""
    height, width, channels = values.shape
    if size:
        height = width = size
        rows = bytes((1 + (size * bits + 7) // 8) * size)
    else:
        kind = ">u2" if bits == 16 else "u1"
        rows = b"".join(b"\0" + row.astype(kind).tobytes() for row in values)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)),
            before,
            chunk(b"IDAT", zlib.compress(rows, 9)),
            after,
            chunk(b"IEND", b""),
        ]
    )


def black_square(size: int, before: bytes = b"") -> bytes:
    """A PNG file of one bit per pixel, a thousandth of the size of its pixels."""
    return png(np.zeros((1, 1, 1)), bits=1, size=size, before=before)


def tiff(values: np.ndarray, entries: Sequence[Entry] = (), deflated: bool = False) -> bytes:
    """Values (H, W) or (H, W, 3) of the byte order and type of the array; entries in bytes."""
    height, width, *channels = values.shape
    number = channels[0] if channels else 1
    is_big = values.dtype.byteorder == ">"
    order = ">" if is_big else "<"
    data = zlib.compress(values.tobytes()) if deflated else values.tobytes()
    data += bytes(len(data) % 2)
    bits = struct.pack(f"{order}3H", *[8 * values.itemsize] * 3)
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    known = {
        256: width,
        257: height,
        258: 8 * values.itemsize,
        259: 8 if deflated else 1,
        262: 2 if channels else 1,
    }
    known |= {273: 8, 277: number, 278: height, 279: len(data), 339: kind}
    table = [(tag, 4, 1, struct.pack(f"{order}I", value)) for tag, value in known.items()]
    if channels:
        table[2] = (258, 3, 3, struct.pack(f"{order}I", 8 + len(data)))
    table = sorted([*table, *entries])
    head = (b"MM\0*" if is_big else b"II*\0") + struct.pack(f"{order}I", 8 + len(data) + 6)
    directory = [struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in table]
    count = struct.pack(f"{order}H", len(table))
    return b"".join([head, data, bits, count, *directory, bytes(4)])


def exif(entries: Sequence[Entry], more: bytes = b"") -> bytes:
    directory = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return b"Exif\0\0" + head + directory + bytes(4) + more


def red_and_blue() -> Image.Image:
    """48 x 32 pixels, red on the left and blue on the right."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:, :24], pixels[:, 24:] = (220, 30, 30), (30, 30, 220)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
