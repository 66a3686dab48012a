"""The text of a list that another program wrote: its encoding, its lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Encodings of spreadsheets on Windows and macOS: Western, Central European, Cyrillic, Greek,
# Turkish, Baltic, Japanese, Chinese (two) and Korean.
_OTHERS = (
    *("cp1252", "mac_roman", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257"),
    *("cp932", "gb18030", "big5", "cp949"),
)
_LINE_END = r"\r\n|\n|\r"
_ADVICE = "save it as UTF-8 (in Excel: CSV UTF-8)"


def read_text(path: Path, share: Callable[[str], float] | None = None) -> str:
    """The text of a file in UTF-8, in UTF-16, or in the encoding that fits.

    Args:
        path: the file.
        share: how many of the names beyond ASCII in a text belong to images, from 0 to 1. The
            encoding with the largest share is taken for a file that is neither UTF-8 nor UTF-16;
            None refuses such a file. UTF-8 with invalid bytes, which reach Python as surrogates,
            is tried first: names of files can be such bytes.

    Raises:
        ValueError: the file is not text, or no encoding fits.
    """
    raw = path.read_bytes()
    encoding = _marked(raw)
    text = _decoded(raw, encoding)
    if text is None and encoding == "utf-8" and b"\0" not in raw:
        text = None if share is None else _fitting(raw, share)
        if text is None:
            before = re.split("[\udc80-\udcff]", raw.decode("utf-8", "surrogateescape"))[0]
            raise ValueError(
                f"{path}, line {len(re.findall(_LINE_END, before)) + 1}: this is not UTF-8, and no "
                f"image has such a name in another encoding; {_ADVICE}"
            )
    if text is None or "\0" in text:
        raise ValueError(f"{path} is not a text file, or is damaged; {_ADVICE}")
    return text


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank.

    Unlike `str.splitlines`, this leaves names with form feeds and the like whole.
    """
    for number, line in enumerate(re.split(r"\r?\n" if "\n" in text else r"\r", text), start=1):
        if line.strip():
            yield number, line


def _marked(raw: bytes) -> str:
    """The Unicode encoding by the mark at its start, or by the zero bytes of UTF-16 without one."""
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            return encoding
    zeros = b"\0" in raw[::2], b"\0" in raw[1::2]  # of ASCII characters
    return {(True, False): "utf-16-be", (False, True): "utf-16-le"}.get(zeros, "utf-8")


def _decoded(raw: bytes, encoding: str, errors: str = "strict") -> str | None:
    try:
        return raw.decode(encoding, errors)
    except UnicodeDecodeError:
        return None


def _fitting(raw: bytes, share: Callable[[str], float]) -> str | None:
    """The text in the encoding with the largest share; None if all shares are zero."""
    best, best_share = None, 0.0
    for encoding in ("utf-8", *_OTHERS):
        text = _decoded(raw, encoding, "surrogateescape" if encoding == "utf-8" else "strict")
        if text is not None and (found := share(text)) > best_share:
            best, best_share = text, found
        if best_share == 1:
            break
    return best
