"""The device that a command computes on."""

from typing import TYPE_CHECKING

import torch

from odc_lightning.utils.text import first_line

if TYPE_CHECKING:
    import pytorch_lightning as pl


def pins_memory(trainer: "pl.Trainer | None") -> bool:
    """Whether a dataloader should pin its batches: those of a trainer on a CUDA GPU alone.

    Pinning opens a CUDA context, which a run on the CPU of a machine with a GPU must not do.
    """
    return trainer is not None and trainer.strategy.root_device.type == "cuda"


def usable_device(device: torch.device | str | int | None) -> torch.device:
    """The device of that name; None: a GPU if there is one, else the CPU.

    Raises:
        ValueError: there is no such device, or torch cannot use it.
    """
    has_gpu = torch.cuda.is_available()
    if device is None:
        return torch.device("cuda" if has_gpu else "cpu")
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count() if has_gpu else 0)]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    try:
        chosen = torch.device(device)
        if chosen.type == "meta":
            raise ValueError("it holds no numbers")
        torch.zeros(1, device=chosen).cpu()
    except Exception as error:  # torch raises RuntimeError, AssertionError, NotImplementedError
        raise ValueError(
            f"device={device} cannot be used here: {first_line(error).rstrip('.')}; expected "
            f"{' or '.join(['cpu', *gpus, *mps])}"
        ) from error
    return chosen
