"""Seeds as a function of their purpose, independent of restarts, workers and ranks."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def sample_seed(seed: int, epoch: int, index: int, copy: int = 0) -> int:
    """A 64-bit seed in which every bit depends on all arguments.

    Consecutive seeds, such as `seed + epoch + index`, would repeat from epoch to epoch. torch's CPU
    generator uses the lower 32 bits; an occasional collision between two samples is harmless.
    """
    numbers = (seed, epoch, index, copy) if copy else (seed, epoch, index)
    mixed = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return int(mixed[0])


def seed_step(seed: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of this device.

    `torch.manual_seed` seeds those of all devices, and takes up to a millisecond where none of them
    has been used yet.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run the body with torch's CPU generator seeded, and put the generator back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # `torch.manual_seed` would seed the GPUs too
        yield
