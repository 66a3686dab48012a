"""Features on disk: memory-mapped, and found again only for the very same network and images."""

import hashlib
import inspect
import json
import re
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from torch import nn

import odc_lightning
from odc_lightning.data import ImageSource, IndexedDataset
from odc_lightning.features.scratch import reserve
from odc_lightning.models import Backbone
from odc_lightning.models.pooling import LARGEST_WIDTH, POOLS

# So many views go into the key, evenly spread: a transform that was changed, or a library that
# decodes otherwise, shows in any of them.
NUM_VIEWS = 16

Features = NDArray[np.float32]


class FeatureFiles:
    """One file a layer, ``(N, width)`` float32, in a folder named after what they are made from.

    Args:
        root: of all such folders.
        facts: what the features depend on. Other facts are another folder, so stale features are
            never used.
        num_samples: N.
    """

    def __init__(self, root: Path, facts: Mapping[str, str], num_samples: int) -> None:
        text = json.dumps(dict(facts), indent=2, sort_keys=True)
        self.folder = root / hashlib.sha256(text.encode()).hexdigest()[:16]
        self.facts = text
        self.num_samples = num_samples

    def has(self, layer: str) -> bool:
        """Whether the layer's features are there, whole."""
        return self._file(layer).is_file()

    def load(self, layer: str) -> Features:
        """The features (N, width), read from disk as they are used; not to be written."""
        return np.load(self._file(layer), mmap_mode="r")

    def create(self, widths: Mapping[str, int]) -> str:
        """Make room for the layers, under names that `has` does not know yet.

        Returns:
            A token of this writer. Another process that writes the same features has another, so
            neither harms the other.

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
                f"features cannot be written to {self.folder}: {error}; choose another folder "
                "with features_dir=..."
            ) from error
        return token

    def open(self, layer: str, token: str) -> "np.memmap[Any, np.dtype[np.float32]]":
        """The rows that `create` made room for, to be written and then flushed."""
        return np.load(self._unfinished(layer, token), mmap_mode="r+")

    def finish(self, layer: str, token: str) -> None:
        """From now on the layer's features are there."""
        self._unfinished(layer, token).replace(self._file(layer))

    def discard(self, layers: Iterable[str], token: str) -> None:
        """Take back what `create` made."""
        for layer in layers:
            self._unfinished(layer, token).unlink(missing_ok=True)

    def _check_room(self, widths: Mapping[str, int]) -> None:
        needed = 4 * self.num_samples * sum(widths.values())
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise ValueError(
                f"features of {self.num_samples:,} images at {', '.join(widths)} need "
                f"{needed / 1e9:.1f} GB, and {self.folder.parent} has {free / 1e9:.1f} GB free; "
                "choose fewer layers, or another disk with features_dir=..."
            )

    def _file(self, layer: str) -> Path:
        return self.folder / f"{layer}.npy"

    def _unfinished(self, layer: str, token: str) -> Path:
        return self.folder / f"{layer}.npy.{token}"


def facts_of(network: Backbone, dataset: IndexedDataset, precision: str) -> dict[str, str]:
    """All that features depend on, as text.

    Args:
        network: its weights and buffers count, not the file that they came from.
        dataset: its images count, in their order, and its transform.
        precision: of the trainer.
    """
    return {
        "network": f"{network.name} {digest_weights(network)}",
        "computation": digest_computation(network),
        "images": f"{len(dataset):,} {digest_images(dataset.source)}",
        # Objects without a description of their own print their address.
        "transform": re.sub(r" at 0x[0-9a-f]+", "", repr(dataset.transform)),
        "views": digest_views(dataset),
        "precision": precision,
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "odc_lightning": odc_lightning.__version__,
    }


def digest_computation(network: Backbone) -> str:
    """Of the layers' settings, which hold no weights, of the backbone's own code, and the pools."""
    kinds = [kind for kind in type(network).__mro__ if issubclass(kind, Backbone)]
    try:
        code = "\n".join(inspect.getsource(kind) for kind in kinds)
    except OSError:  # of a class that is in no file
        code = ""
    text = f"{network!r}\n{code}\n{network.stages}\n{POOLS}\n{LARGEST_WIDTH}"
    return hashlib.sha256(text.encode()).hexdigest()


def digest_weights(network: nn.Module) -> str:
    """Of the names and values of all weights and buffers."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def digest_images(source: ImageSource) -> str:
    """Of each file's path, size and time of change, and of the pixels of images in memory."""
    digest = hashlib.sha256()
    for index in range(len(source)):
        path = source.path(index)
        if path is None:
            digest.update(source.load(index).tobytes())
        else:
            status = path.stat()
            text = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n"
            digest.update(text.encode(errors="surrogateescape"))
    return digest.hexdigest()


def digest_views(dataset: IndexedDataset) -> str:
    """Of some images as the network sees them."""
    digest = hashlib.sha256()
    for index in np.linspace(0, len(dataset) - 1, NUM_VIEWS).astype(int).tolist():
        digest.update(dataset[index]["image"].contiguous().numpy().data)
    return digest.hexdigest()
