"""Features on disk: memory-mapped files, reused only for the same network and images."""

import hashlib
import json
import logging
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odc_lightning.utils.arrays import load_array
from odc_lightning.utils.room import reserve
from odc_lightning.utils.seals import is_intact, seal

log = logging.getLogger(__name__)

Features = NDArray[np.float32]


class FeatureFiles:
    """Files of features, (N, width) float32 for each layer, in a folder named by a digest.

    Args:
        root: parent of all such folders.
        facts: everything that the features depend on. Different facts give a different folder, so
            stale features are never used.
        num_samples: N.
    """

    def __init__(self, root: Path, facts: Mapping[str, str], num_samples: int) -> None:
        text = json.dumps(dict(facts), indent=2, sort_keys=True)
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.facts = text
        self.num_samples = num_samples
        self._intact: set[str] = set()  # layers whose files have been checked

    def has(self, layer: str) -> bool:
        """Return whether the features of a layer exist, complete and undamaged."""
        file = self._file(layer)
        if layer in self._intact or not file.is_file():
            return layer in self._intact
        intact = is_intact(file)
        if intact:
            self._intact.add(layer)
        elif intact is False:
            log.warning("%s is damaged; the features are extracted again", file)
        return bool(intact)

    def load(self, layer: str) -> Features:
        """Map the features (N, width) of a layer, read-only; they are read when they are used."""
        return load_array(self._file(layer))

    def create(self, widths: Mapping[str, int]) -> str:
        """Create a file for each layer, under a temporary name that `has` ignores.

        Args:
            widths: number of features per sample, by layer.

        Returns:
            A token of this writer. Another process that writes the same features gets another
            token, so the two do not interfere.

        Raises:
            ValueError: if the disk has too little room, or the folder cannot be written.
        """
        token = uuid.uuid4().hex
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._check_room(widths)
            (self.folder / "facts.json").write_text(f"{self.facts}\n", encoding="utf-8")
            for layer, width in widths.items():
                shape = (self.num_samples, width)
                path = self._unfinished(layer, token)
                np.lib.format.open_memmap(path, "w+", np.float32, shape)
                with path.open("r+b") as file:
                    reserve(file.fileno(), path.stat().st_size)
        except OSError as error:
            if self.folder.is_dir():
                self.discard(widths, token)
            raise ValueError(
                f"features cannot be written to {self.folder}: {error}; set another folder "
                "(features_dir=...)"
            ) from error
        return token

    def open(self, layer: str, token: str) -> "np.memmap[Any, np.dtype[np.float32]]":
        """Map the rows (N, width) of a file of `create`, to be written and then flushed."""
        return load_array(self._unfinished(layer, token), "r+")

    def finish(self, layer: str, token: str) -> None:
        """Publish the complete features of a layer under their final name, with their digest."""
        self._unfinished(layer, token).replace(self._file(layer))
        seal(self._file(layer))

    def discard(self, layers: Iterable[str], token: str) -> None:
        """Delete the temporary files of `create`."""
        for layer in layers:
            self._unfinished(layer, token).unlink(missing_ok=True)

    def _check_room(self, widths: Mapping[str, int]) -> None:
        needed = 4 * self.num_samples * sum(widths.values())
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise ValueError(
                f"features of {self.num_samples:,} images at {', '.join(widths)} need "
                f"{needed / 1e9:.1f} GB, and {self.folder.parent} has {free / 1e9:.1f} GB free; "
                "choose fewer layers, or set a folder on another disk (features_dir=...)"
            )

    def _file(self, layer: str) -> Path:
        return self.folder / f"{layer}.npy"

    def _unfinished(self, layer: str, token: str) -> Path:
        return self.folder / f"{layer}.npy.{token}"
