"""From a path to what a checkpoint holds. Nothing is unpickled but tensors and plain types, unless
the user trusts the file."""

import argparse
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from odc_lightning.utils.text import first_line

# What torch.save began with before it wrote zip archives: a pickled number.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def checkpoint_file(path: Path | str, option: str = "checkpoint") -> Path:
    """The checkpoint that a path means: a file, or the last one of a run's folder.

    Args:
        path: of either.
        option: what the user calls it, for messages.

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
            f"{option}={path} is a folder without checkpoints/last.ckpt; expected a checkpoint "
            "file or the folder of a training run"
        )
    or_untrained = ", or untrained" if option == "checkpoint" else ""
    raise ValueError(
        f"{option}={path} does not exist; expected a checkpoint file, or the folder of a training "
        f"run{or_untrained}"
    )


def read_checkpoint(
    path: Path | str, *, trusted: bool = False, option: str = "checkpoint"
) -> dict[str, Any]:
    """What a safetensors file holds, or one of `torch.save`; tensors stay on disk until used.

    Args:
        path: of the file.
        trusted: unpickle whatever it holds, which can run any code. Without it a file is read with
            ``weights_only=True``.
        option: what the user calls the file, for messages.

    Raises:
        ValueError: if the file is damaged, needs trust that it has not, or holds no dictionary.
    """
    path = Path(path)
    try:
        content = _unpickled(path) if trusted else _plain(path)
    except pickle.UnpicklingError as error:
        if trusted:
            raise _damaged(path, error) from error
        raise ValueError(
            f"{path} holds more than tensors and plain types, and loading that could run any code, "
            f"so it is refused ({_refused_object(error)}). If you trust whoever made the file, add "
            f"{option}_trusted=true; if it is yours, save its weights alone: "
            "torch.save(network.state_dict(), FILE)"
        ) from error
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{path} holds objects of a package that is not installed here ({first_line(error)}); "
            "install it, or save the weights alone where it is: "
            "torch.save(network.state_dict(), FILE)"
        ) from error
    except Exception as error:  # a flipped bit shows as an error of any kind
        raise _damaged(path, error) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected a dictionary")
    return content


def _plain(path: Path) -> Any:
    """Tensors and plain types; anything else raises an UnpicklingError and is not run."""
    if _is_safetensors(path):
        return load_file(path)
    if not _is_pickled(path):
        raise ValueError("it is neither a file of torch.save nor of safetensors")
    # Settings of a command line, which DINO and timm keep beside the weights; a Namespace does
    # nothing but hold them.
    with torch.serialization.safe_globals([argparse.Namespace]):
        # A run's checkpoint holds the samples memory too, which need not be read for its network.
        return torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )


def _unpickled(path: Path) -> Any:
    """Whatever the file holds, for files that are trusted."""
    if _is_safetensors(path):
        return load_file(path)
    with path.open("rb") as file:
        by_torch = zipfile.is_zipfile(path) or file.read(len(_OLD_TORCH)) == _OLD_TORCH
        file.seek(0)
        if by_torch:
            return torch.load(file, map_location="cpu", weights_only=False)
        # Python 2 wrote Caffe2's blobs; its strings and arrays are bytes to Python 3.
        return pickle.load(file, encoding="latin1")


def _is_safetensors(path: Path) -> bool:
    """By its beginning: the length of a JSON header in eight bytes, then the header."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{" and path.stat().st_size > 8


def _is_pickled(path: Path) -> bool:
    """Whether it can be of torch.save at all: a zip archive, or a pickle of protocol 2 or newer."""
    with path.open("rb") as file:
        return zipfile.is_zipfile(path) or file.read(1) == b"\x80"


def _refused_object(error: Exception) -> str:
    """What torch did not want to unpickle, without its advice to do it all the same."""
    found = re.search(r"Unsupported (?:global|class|operand)[^.\n]*(?:\.\w[^.\n]*)*", str(error))
    return found[0] if found else first_line(error)


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is no checkpoint, or it is damaged: {first_line(error)}")
