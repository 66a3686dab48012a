"""The text of a list that another program wrote: its encoding, its lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Encodings of spreadsheets on Windows and macOS: Western, Central European, Cyrillic, Greek,
# Turkish, Baltic, Japanese, Chinese (two) and Korean.
_OTHERS = (
    *("cp1252", "mac_roman", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257"),
    *("cp932", "gb18030", "big5", "cp949"),
)
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
    encoding = next((name for bom, name in _BOMS.items() if raw.startswith(bom)), None)
    if encoding is None and b"\0" in raw:
        # UTF-16 without a mark at its start: each second byte of ASCII is zero.
        zeros = [b"\0" in raw[start::2] for start in (0, 1)]
        encoding = {(True, False): "utf-16-be", (False, True): "utf-16-le"}.get(tuple(zeros))
        if encoding is None:
            raise ValueError(f"{path} is not a text file; expected a list or CSV: {_ADVICE}")
    try:
        return raw.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise ValueError(
                f"{path} starts as {encoding} text, but is damaged at byte {error.start}; {_ADVICE}"
            ) from error
        line = len(re.findall(rb"\r\n|\n|\r", raw[: error.start])) + 1
    best, best_share = "", 0.0
    for candidate in ("utf-8", *_OTHERS) if share is not None else ():
        try:
            text = raw.decode(candidate, "surrogateescape" if candidate == "utf-8" else "strict")
        except UnicodeDecodeError:
            continue
        if share is not None and (found := share(text)) > best_share:
            best, best_share = text, found
        if best_share == 1:
            break
    if best_share > 0:
        return best
    raise ValueError(
        f"{path}, line {line}: this is not UTF-8, and in no other encoding do its names with such "
        f"letters belong to images; {_ADVICE}"
    )


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line that is not blank.

    Unlike `str.splitlines`, this leaves names with form feeds and the like whole.
    """
    ends = r"\r?\n" if "\n" in text else r"\r"
    for number, line in enumerate(re.split(ends, text), start=1):
        if line.strip():
            yield number, line
