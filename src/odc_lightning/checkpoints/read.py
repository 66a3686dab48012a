"""Reading of checkpoints; unless a file is trusted, only tensors and plain types are unpickled."""

import argparse
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from odc_lightning.checkpoints.kinds import kind_of_file, kind_of_folder, weights_in_folder
from odc_lightning.utils.home import expanded
from odc_lightning.utils.text import first_line

# First bytes of torch.save's files before it wrote zip archives: a pickled number.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def checkpoint_file(path: Path | str, option: str = "checkpoint") -> Path:
    """The checkpoint at a path: the file itself, or the weights in a folder.

    The folder is that of a run, with ``checkpoints/last.ckpt``, or one as on the Hugging Face hub.

    Args:
        path: a checkpoint file or a run folder.
        option: the option by which the user gave the path, for messages.

    Raises:
        ValueError: if there is no checkpoint.
    """
    path = expanded(path)
    if path.is_file():
        return path
    last = path / "checkpoints" / "last.ckpt"
    if last.is_file():
        return last
    if path.is_dir():
        if (weights := weights_in_folder(path)) is not None:
            return weights
        if (kind := kind_of_folder(path)) is not None:
            raise ValueError(f"{option}={path} {kind}")
        raise ValueError(
            f"{option}={path} is a folder without checkpoints/last.ckpt; expected a checkpoint "
            "file, or the folder of a training run"
        )
    or_untrained = ", or untrained" if option == "checkpoint" else ""
    raise ValueError(
        f"{option}={path} does not exist; expected a checkpoint file, or the folder of a training "
        f"run{or_untrained}"
    )


def read_checkpoint(
    path: Path | str, *, trusted: bool = False, option: str = "checkpoint"
) -> dict[str, Any]:
    """The content of a file of safetensors or `torch.save`; tensors stay on disk until used.

    Args:
        path: the file.
        trusted: unpickle all objects, which can run any code. Otherwise the file is read with
            ``weights_only=True``.
        option: the option by which the user gave the file, for messages.

    Raises:
        ValueError: if the file is damaged, holds other objects without being trusted, or is not a
            dictionary.
    """
    path = Path(path)
    if (kind := kind_of_file(path)) is not None:
        raise ValueError(f"{path} {kind}")
    try:
        content = _unpickled(path) if trusted else _plain(path)
    except pickle.UnpicklingError as error:
        if trusted:
            raise _damaged(path, error) from error
        raise ValueError(
            f"{path} holds more than tensors and plain types, and loading it could run any code, "
            f"so it is refused ({_refused_object(error)}). If you trust the source of the file, "
            f"add {option}_trusted=true; if it is yours, save only its weights: "
            "torch.save(network.state_dict(), FILE)"
        ) from error
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{path} holds objects of a package that is not installed here ({first_line(error)}); "
            "install it, or save only the weights on a machine that has it: "
            "torch.save(network.state_dict(), FILE)"
        ) from error
    except Exception as error:  # a flipped bit can raise an error of any type
        raise _damaged(path, error) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected a dictionary")
    return content


def _plain(path: Path) -> Any:
    """Tensors and plain types; any other object raises an UnpicklingError and is not run."""
    if _is_safetensors(path):
        return load_file(path)
    if not _is_pickled(path):
        raise ValueError("expected a file of torch.save or safetensors")
    # DINO and timm save the settings of the command line beside the weights, as a Namespace, which
    # only holds values.
    with torch.serialization.safe_globals([argparse.Namespace]):
        # mmap: a run's checkpoint also holds the samples memory, which the network does not need.
        return torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )


def _unpickled(path: Path) -> Any:
    """All objects in the file; for trusted files only."""
    if _is_safetensors(path):
        return load_file(path)
    with path.open("rb") as file:
        by_torch = zipfile.is_zipfile(path) or file.read(len(_OLD_TORCH)) == _OLD_TORCH
        file.seek(0)
        if by_torch:
            return torch.load(file, map_location="cpu", weights_only=False)
        # Caffe2's blobs were written by Python 2, whose strings and arrays are bytes in Python 3.
        return pickle.load(file, encoding="latin1")


def _is_safetensors(path: Path) -> bool:
    """Whether the file starts as safetensors do: the header's length in eight bytes, then JSON."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{" and path.stat().st_size > 8


def _is_pickled(path: Path) -> bool:
    """Whether torch.save can have written it: a zip archive, or a pickle of protocol 2 or newer."""
    with path.open("rb") as file:
        return zipfile.is_zipfile(path) or file.read(1) == b"\x80"


def _refused_object(error: Exception) -> str:
    """The object that torch refused, from its message, without its advice to load it anyway."""
    refusal = re.search(r"Unsupported (?:global|class|operand)[^.\n]*(?:\.\w[^.\n]*)*", str(error))
    return refusal[0] if refusal else first_line(error)


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is not a checkpoint, or is damaged: {first_line(error)}")
