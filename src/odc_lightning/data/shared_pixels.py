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

from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.room import reserve


class Pixels:
    """Room for the pixels of images of known sizes, filled and read by several processes.

    Processes forked from this one share it. Others, as on macOS and Windows, share it if it is in
    a file. Either disappears with the processes.

    Args:
        sizes: (N, 2), width and height of each image.
        folder: of the file; None: in memory.

    Raises:
        OSError: the disk has too little room, or the folder cannot be written.
    """

    def __init__(self, sizes: IntArray, folder: Path | None) -> None:
        self.sizes = sizes
        # First a byte for each image: whether its pixels are there.
        self.starts = len(sizes) + np.concatenate([[0], np.cumsum(3 * sizes.prod(axis=1))])
        self.path: Path | None = None
        size = int(self.starts[-1])
        if folder is None:
            self._map(mmap.mmap(-1, size))
            return
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(".tmp", "decoded-", folder)
        path = Path(name)
        try:
            reserve(descriptor, size)
            self._map(mmap.mmap(descriptor, size))
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
        if forks():  # without its name the file disappears even after a crash
            path.unlink()
        else:
            self.path = path
            weakref.finalize(self, path.unlink)

    def get(self, index: int) -> Image.Image | None:
        """The image, if it is there."""
        if self._bytes is None or not self._bytes[index]:
            return None
        width, height = self.sizes[index].tolist()
        return Image.fromarray(self._room(index).reshape(height, width, 3))  # copies

    def put(self, index: int, image: Image.Image) -> None:
        """Keep an image; one of another size, whose file has changed, is not kept."""
        if self._bytes is not None and image.size == tuple(self.sizes[index].tolist()):
            self._room(index)[:] = np.asarray(image).reshape(-1)
            self._bytes[index] = 1

    def _map(self, mapping: mmap.mmap | None) -> None:
        self._bytes: NDArray[np.uint8] | None = None
        if mapping is not None:
            self._bytes = np.frombuffer(mapping, np.uint8)

    def _room(self, index: int) -> NDArray[np.uint8]:
        assert self._bytes is not None
        return self._bytes[self.starts[index] : self.starts[index + 1]]

    def __getstate__(self) -> dict[str, Any]:
        """For a process that is not forked: the file, if there is one."""
        return {"sizes": self.sizes, "starts": self.starts, "path": self.path}

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
