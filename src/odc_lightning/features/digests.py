"""Digests of everything that features depend on: network, images and transform."""

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
from odc_lightning.models.pooling import MAX_WIDTH, POOLS

# Number of transformed images in the digest, evenly spread over the data set. Any of them shows a
# changed transform, or a library that decodes images differently.
NUM_VIEWS = 16


def facts_of(network: Backbone, dataset: IndexedDataset, precision: str) -> dict[str, str]:
    """Describe everything that features depend on, as text.

    Args:
        network: backbone; its weights and buffers count, not the file they were loaded from.
        dataset: its images, in their order, and its transform count.
        precision: precision of the trainer.

    Returns:
        Descriptions and digests by name.
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
    """Return the repr of a transform, without the memory addresses in default reprs."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(transform))


def digest_computation(network: Backbone) -> str:
    """Digest of the layers' settings, the source code of the backbone, and the pooling."""
    kinds = [kind for kind in type(network).__mro__ if issubclass(kind, Backbone)]
    try:
        code = "\n".join(inspect.getsource(kind) for kind in kinds)
    except OSError:  # the class is not defined in a file
        code = ""
    text = f"{network!r}\n{code}\n{network.stages}\n{POOLS}\n{MAX_WIDTH}"
    return hashlib.sha256(text.encode()).hexdigest()


def digest_weights(network: nn.Module) -> str:
    """Digest of the names and values of all weights and buffers."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def digest_images(source: ImageSource) -> str:
    """Digest of path, size and modification time of each file, or of pixels held in memory.

    The range of values counts too, which changes how files of more than 8 bits are read.
    """
    digest = hashlib.sha256(repr(source.reading.value_range).encode())
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
    """Digest of some images after the transform."""
    digest = hashlib.sha256()
    for index in np.linspace(0, len(dataset) - 1, NUM_VIEWS).astype(int).tolist():
        digest.update(dataset[index]["image"].contiguous().numpy().data)
    return digest.hexdigest()
