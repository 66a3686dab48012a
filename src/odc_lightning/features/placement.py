"""Storage of the samples memory's features: on the device, in RAM, or in a mapped file."""

import tempfile
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from odc_lightning.utils.room import available_ram, free_on_disk, in_words, reserve

Place = Literal["device", "ram", "disk"]
PLACES = get_args(Place)
Precision = Literal["float32", "float16", "bfloat16"]
PRECISIONS = get_args(Precision)
# Share of free memory that the features may use; the network and its activations need the rest.
SHARE_OF_FREE = 0.5


class Budget(NamedTuple):
    """Free bytes for one rank's features at each place; ``device`` is None on a CPU."""

    device: int | None
    ram: int
    disk: int


def place_features(
    num_samples: int,
    dim: int,
    *,
    device: torch.device,
    place: Place | Literal["auto"],
    precision: Precision,
    folder: Path,
    free: Budget,
) -> tuple[Tensor, str]:
    """Allocate features (N, D) at a place with enough room.

    Args:
        num_samples, dim: N and D.
        device: device of the network.
        place: where to store the features; ``"auto"`` is the fastest place with enough room.
        precision: precision in which they are stored.
        folder: folder of the mapped file, if the place is the disk.
        free: free bytes, measured before any rank allocated its features.

    Returns:
        Zeros (N, D), and a line for the log that names size and place.

    Raises:
        ValueError: if a setting is unknown, or there is too little room.
    """
    if place != "auto" and place not in PLACES:
        raise ValueError(
            f"algorithm.samples_memory.place={place!r}; expected auto, {', '.join(PLACES)}"
        )
    if precision not in PRECISIONS:
        raise ValueError(
            f"algorithm.samples_memory.precision={precision!r}; expected {', '.join(PRECISIONS)}"
        )
    size = num_samples * dim * getattr(torch, precision).itemsize
    chosen = choose_place(size, free, place)
    features = allocate(num_samples, dim, precision, chosen, device, folder)
    name = {"device": f"on {device}", "ram": "in RAM", "disk": f"in a file in {folder}"}[chosen]
    room = {"device": free.device, "ram": free.ram, "disk": free.disk}[chosen] or 0
    return features, (
        f"samples memory: {num_samples:,} x {dim} in {precision}, {in_words(size)} {name} "
        f"({in_words(room)} free)"
    )


def choose_place(size: int, free: Budget, wanted: Place | Literal["auto"]) -> Place:
    """Choose the fastest place with enough room.

    Args:
        size: bytes of the features.
        free: free bytes at each place; ``SHARE_OF_FREE`` of them may be used (all of a disk).
        wanted: ``"auto"``, or the only place to consider.

    Raises:
        ValueError: if there is too little room at the wanted place, or at every place.
    """
    room = {
        "device": int((free.device or 0) * SHARE_OF_FREE),
        "ram": int(free.ram * SHARE_OF_FREE),
        "disk": free.disk,
    }
    candidates: tuple[Place, ...] = PLACES if wanted == "auto" else (wanted,)
    if free.device is None:  # on a CPU the device is RAM
        candidates = tuple(dict.fromkeys("ram" if at == "device" else at for at in candidates))
    for place in candidates:
        if size <= room[place]:
            return place
    rooms = ", ".join(f"{room[place] / 1e9:.1f} GB at {place!r}" for place in candidates)
    raise ValueError(
        f"the samples memory's features are {size / 1e9:.1f} GB, and there is room for {rooms} "
        f"(all free space of a disk, {SHARE_OF_FREE:.0%} of other free memory); set another "
        "algorithm.samples_memory.place, set algorithm.samples_memory.precision=float16 for half "
        "the size, or set another algorithm.samples_memory.scratch_dir"
    )


def budget(device: torch.device, folder: Path, ranks_on_node: int) -> Budget:
    """Measure the free bytes for one rank at each place.

    Args:
        device: device of the network.
        folder: folder of the mapped file, if there will be one.
        ranks_on_node: number of processes that share RAM and disk, each with its own features.
    """
    on_device = None
    if device.type == "cuda":
        on_device = torch.cuda.mem_get_info(device)[0]
    elif device.type != "cpu":  # Apple's GPUs use the machine's RAM
        on_device = available_ram() // ranks_on_node
    return Budget(
        on_device, available_ram() // ranks_on_node, free_on_disk(folder) // ranks_on_node
    )


def where_it_fits(features: Tensor, device: torch.device) -> Tensor:
    """Features in RAM or in a file, moved to the device if there is room for them and a copy.

    Args:
        features: (N, D).
        device: on which to compute with them, and with their directions.
    """
    free = None if device.type == "cpu" else budget(device, Path(tempfile.gettempdir()), 1).device
    if free is None or 2 * features.nbytes > SHARE_OF_FREE * free:
        return features
    return features.to(device)


def allocate(
    num_samples: int,
    dim: int,
    precision: Precision,
    place: Place,
    device: torch.device,
    folder: Path,
) -> Tensor:
    """Allocate zeros (N, D) at a place.

    A file on disk has no name, so it disappears with the process, even after a crash.

    Raises:
        ValueError: if the folder of the file cannot be written or has too little room.
    """
    dtype: torch.dtype = getattr(torch, precision)
    if place != "disk":
        return torch.zeros(
            num_samples, dim, dtype=dtype, device=device if place == "device" else "cpu"
        )
    size = num_samples * dim * dtype.itemsize
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            reserve(file.fileno(), size)
            mapped = np.memmap(file, np.uint8, "r+", shape=(size,))
    except OSError as error:
        raise ValueError(
            f"a file of {size / 1e9:.1f} GB for the samples memory cannot be created in {folder}: "
            f"{error}; set another algorithm.samples_memory.scratch_dir"
        ) from error
    return torch.from_numpy(mapped).view(dtype).view(num_samples, dim)
