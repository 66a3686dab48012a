"""Digests of what features depend on: a network, its images, and their view."""

import hashlib
import inspect
import re

import numpy as np
import torch
import torchvision
from torch import nn

import odc_lightning
from odc_lightning.data import ImageSource, IndexedDataset
from odc_lightning.models import Backbone
from odc_lightning.models.pooling import LARGEST_WIDTH, POOLS

# So many views are part of the digest, evenly spread: a transform that was changed, or a library
# that decodes otherwise, shows in any of them.
NUM_VIEWS = 16


def facts_of(network: Backbone, dataset: IndexedDataset, precision: str) -> dict[str, str]:
    """Everything that features depend on, as text.

    Args:
        network: its weights and buffers count, not the file that they came from.
        dataset: its images count, in their order, and its transform.
        precision: of the trainer.
    """
    return {
        "network": f"{network.name} {digest_weights(network)}",
        "computation": digest_computation(network),
        "images": f"{len(dataset):,} {digest_images(dataset.source)}",
        "transform": describe(dataset.transform),
        "views": digest_views(dataset),
        "precision": precision,
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "odc_lightning": odc_lightning.__version__,
    }


def describe(transform: object) -> str:
    """The text of a transform, without the addresses that objects without a text of their own have.

    Args:
        transform: of images.
    """
    return re.sub(r" at 0x[0-9a-f]+", "", repr(transform))


def digest_computation(network: Backbone) -> str:
    """Digest of the layers' settings, the backbone's own code, and the pooling."""
    kinds = [kind for kind in type(network).__mro__ if issubclass(kind, Backbone)]
    try:
        code = "\n".join(inspect.getsource(kind) for kind in kinds)
    except OSError:  # of a class that is in no file
        code = ""
    text = f"{network!r}\n{code}\n{network.stages}\n{POOLS}\n{LARGEST_WIDTH}"
    return hashlib.sha256(text.encode()).hexdigest()


def digest_weights(network: nn.Module) -> str:
    """Digest of the names and values of all weights and buffers."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def digest_images(source: ImageSource) -> str:
    """Digest of each file's path, size and time of change, or of the pixels of images in memory."""
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
    """Digest of some images as the network sees them."""
    digest = hashlib.sha256()
    for index in np.linspace(0, len(dataset) - 1, NUM_VIEWS).astype(int).tolist():
        digest.update(dataset[index]["image"].contiguous().numpy().data)
    return digest.hexdigest()
