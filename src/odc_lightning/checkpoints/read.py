"""From a path to what a checkpoint holds. Nothing is ever unpickled but tensors and plain types."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch


def checkpoint_file(path: Path | str) -> Path:
    """The checkpoint that a path means: a file, or the last one of a run's folder.

    Raises:
        ValueError: if there is none.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    last = path / "checkpoints" / "last.ckpt"
    if last.is_file():
        return last
    if path.is_dir():
        raise ValueError(
            f"checkpoint={path} is a folder without checkpoints/last.ckpt; expected a checkpoint "
            "file or the folder of a training run"
        )
    raise ValueError(
        f"checkpoint={path} does not exist; expected a checkpoint file, the folder of a training "
        "run, or untrained"
    )


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """What `torch.save` wrote, with ``weights_only=True``; tensors stay on disk until used.

    Raises:
        ValueError: if the file is damaged, holds other objects than tensors and plain types, or
            no dictionary.
    """
    path = Path(path)
    try:
        # A run's checkpoint holds the samples memory too, which need not be read for its network.
        content = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors and plain types, and loading that could run any code, "
            f"so it is refused ({_first_line(error)}). If it is yours, save its weights alone: "
            "torch.save(network.state_dict(), FILE)"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} is no checkpoint, or it is damaged: {_first_line(error)}"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected a dictionary")
    return content


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
