"""Short names for the types of NumPy arrays, and the reader of array files."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


def load_array(path: Path, mode: Literal["r", "r+"] = "r") -> "np.memmap[Any, Any]":
    """Map the array of an ``.npy`` file, whose numbers are read when they are used.

    Mapping compares the shape in the file with the file's size before anything is allocated, and
    Python objects are never unpickled.

    Raises:
        ValueError: the file is damaged or holds Python objects.
    """
    mapped: np.memmap[Any, Any] = np.load(path, mmap_mode=mode, allow_pickle=False)
    return mapped
