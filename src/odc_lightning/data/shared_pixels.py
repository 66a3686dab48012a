"""Memory or a file for the pixels of images, which several processes fill and read."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from odc_lightning.data.decoding.copies import as_copy, full_size
from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.room import reserve


class Pixels:
    """Room for the pixels of images of known sizes, filled and read by several processes.

    Processes forked from this one share it. Others, as on macOS and Windows, share it if it is in
    a file. Either disappears with the processes.

    Args:
        sizes: (N, 2), width and height of each image.
        full_sizes: (N, 2), those of the images that they are copies of.
        folder: of the file; None: in memory.

    Raises:
        OSError: there is too little room, or the folder cannot be written.
    """

    def __init__(self, sizes: IntArray, full_sizes: IntArray, folder: Path | None) -> None:
        self.sizes = sizes
        self.full_sizes = full_sizes
        # First a byte for each image: whether its pixels are there.
        self.starts = len(sizes) + np.concatenate([[0], np.cumsum(3 * sizes.prod(axis=1))])
        self.path: Path | None = None
        size = int(self.starts[-1])
        if folder is None:
            self._map(mmap.mmap(-1, size))
            return
        folder.mkdir(parents=True, exist_ok=True)
        if forks():  # a file without a name disappears even after a crash
            with tempfile.TemporaryFile(dir=folder) as file:
                self._fill(file.fileno(), size)
            return
        descriptor, name = tempfile.mkstemp(".tmp", "decoded-", folder)
        self.path = Path(name)
        weakref.finalize(self, self.path.unlink, missing_ok=True)
        try:
            self._fill(descriptor, size)
        finally:
            os.close(descriptor)

    def get(self, index: int) -> Image.Image | None:
        """The image, if it is there."""
        if self._bytes is None or not self._bytes[index]:
            return None
        width, height = self.sizes[index].tolist()
        image = Image.fromarray(self._room(index).reshape(height, width, 3))  # with its own memory
        full_width, full_height = self.full_sizes[index].tolist()
        return as_copy(image, (full_width, full_height))

    def put(self, index: int, image: Image.Image) -> None:
        """Keep an image; one of another size, whose file has changed, is not kept."""
        expected = tuple(self.sizes[index].tolist()), tuple(self.full_sizes[index].tolist())
        if self._bytes is not None and (image.size, full_size(image)) == expected:
            self._room(index)[:] = np.asarray(image).reshape(-1)
            self._bytes[index] = 1

    def _fill(self, descriptor: int, size: int) -> None:
        reserve(descriptor, size)
        self._map(mmap.mmap(descriptor, size))

    def _map(self, mapping: mmap.mmap | None) -> None:
        self._bytes: NDArray[np.uint8] | None = None
        if mapping is not None:
            self._bytes = np.frombuffer(mapping, np.uint8)

    def _room(self, index: int) -> NDArray[np.uint8]:
        assert self._bytes is not None
        return self._bytes[self.starts[index] : self.starts[index + 1]]

    def __getstate__(self) -> dict[str, Any]:
        """For a process that is not forked: the file, if there is one."""
        names = ("sizes", "full_sizes", "starts", "path")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.path is None:
            self._map(None)
            return
        with self.path.open("r+b") as file:
            self._map(mmap.mmap(file.fileno(), 0))


def forks() -> bool:
    """Whether processes that load images are forked, and so share this process's memory."""
    chosen = multiprocessing.get_start_method(allow_none=True)
    return (chosen or multiprocessing.get_all_start_methods()[0]) == "fork"
