"""Numbers of classes from their names, as folders and lists have them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from odc_lightning.utils.arrays import IntArray

_UNKNOWN = re.compile(r"|nan|na|n/a|#n/a|<na>|null|-1(\.0*)?", re.IGNORECASE)
_INTEGER = re.compile(r"-?\d{1,18}")
_INTEGRAL = re.compile(r"(-?\d{1,18})(?:\.0*)?")  # pandas writes 3.0 where a label is unknown


def number_labels(texts: Sequence[str]) -> tuple[IntArray, list[str]] | None:
    """Labels (N,) and names of the classes; None if no label is known.

    Empty, ``nan``, ``NA`` and -1 are unknown. If all others are integers, 1 and 1.0 are one class.
    """
    known = [None if _UNKNOWN.fullmatch(text) else text for text in map(str.strip, texts)]
    integers = {text: _INTEGRAL.fullmatch(text) for text in known if text is not None}
    if not integers:
        return None
    if all(integers.values()):
        names = {text: match[1] for text, match in integers.items() if match}
        known = [None if text is None else names[text] for text in known]
    return number_classes(known)


def number_classes(values: Sequence[str | None]) -> tuple[IntArray, list[str]]:
    """Labels (N,), -1 for None, and class names: by value if all are integers, else sorted."""
    class_names = sorted({value for value in values if value is not None})  # orders 1 and 01, too
    if all(map(_INTEGER.fullmatch, class_names)):
        class_names.sort(key=int)
    number = {name: i for i, name in enumerate(class_names)}
    labels = [-1 if value is None else number[value] for value in values]
    return np.array(labels, dtype=np.int64), class_names
