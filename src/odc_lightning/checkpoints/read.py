"""Reading of checkpoints; unless a file is trusted, only tensors and plain types are unpickled."""

import argparse
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from odc_lightning.checkpoints.kinds import kind_of_file, kind_of_folder, weights_in_folder
from odc_lightning.utils.home import expanded
from odc_lightning.utils.text import first_line, printable

# torch.save does not compress, so only an archive of up to this size may be larger than its file.
MAX_INFLATED = 2**26
# A tensor can repeat few stored values; one at a time is used, and may have up to this size.
MAX_EXPANDED = 2**29
# The file of the state that a run ends with, where it is not the last one (`KeepBest`).
KEPT = "best.ckpt"
# First bytes of torch.save's files before it wrote zip archives: a pickled number.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def checkpoint_file(path: Path | str, option: str = "checkpoint", to_resume: bool = False) -> Path:
    """The checkpoint at a path: the file itself, or the weights in a folder.

    The folder is that of a run, with ``checkpoints/best.ckpt`` if the run keeps its best state,
    else ``last.ckpt``; or one as on the Hugging Face hub.

    Args:
        path: a checkpoint file or a run folder.
        option: the option by which the user gave the path, for messages.
        to_resume: of a run's folder take ``last.ckpt``, the state from which training continues.

    Raises:
        ValueError: if there is no checkpoint.
    """
    path = expanded(path)
    if path.is_file():
        return path
    for name in ("last.ckpt",) if to_resume else (KEPT, "last.ckpt"):
        if (of_run := path / "checkpoints" / name).is_file():
            return of_run
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
    path: Path | str,
    *,
    trusted: bool = False,
    option: str | None = "checkpoint",
    whole: bool = True,
) -> dict[str, Any]:
    """The content of a file of safetensors or `torch.save`; tensors stay on disk until used.

    Args:
        path: the file.
        trusted: unpickle all objects, which can run any code. Otherwise the file is read with
            ``weights_only=True``.
        option: the option by which the user gave the file, if ``OPTION_trusted`` exists; for
            messages.
        whole: verify the checksums, which reads the whole file; not of trusted files.

    Raises:
        ValueError: if the file is damaged, holds other objects or unpacks to far more than its size
            without being trusted, or is not a dictionary.
    """
    path = Path(path)
    if (kind := kind_of_file(path)) is not None:
        raise ValueError(f"{path} {kind}")
    if not trusted:
        _refuse_inflated(path, _way_out(option))
        if whole and zipfile.is_zipfile(path) and (part := first_damaged_part(path)):
            wrong = f"the checksum of its part {part} is wrong; use another copy of the file"
            raise _damaged(path, ValueError(wrong))
    try:
        content = _unpickled(path) if trusted else _plain(path)
    except pickle.UnpicklingError as error:
        if trusted:
            raise _damaged(path, error) from error
        raise ValueError(
            f"{path} holds more than tensors and plain types, and loading it could run any code, "
            f"so it is refused ({_refused_object(error)}). {_way_out(option)}"
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
    if not trusted:
        _refuse_expanded(path, content, _way_out(option))
    return content


def first_damaged_part(path: Path) -> str | None:
    """The first part of a `torch.save` file whose checksum (CRC-32) is wrong; None if all match.

    Reads the whole file. torch can save files without checksums, which are all zero.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            has_checksums = any(part.CRC for part in archive.infolist())
            return archive.testzip() if has_checksums else None
    except Exception:  # damage raises errors of many types
        return "(its table of contents)"


def _refuse_inflated(path: Path, way_out: str) -> None:
    """Refuse a zip archive whose parts are together much larger than the file, before unpacking."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except Exception:  # not an archive, or one so damaged that its reader will say so
        return
    if size > max(MAX_INFLATED, path.stat().st_size):
        raise ValueError(
            f"{path} has {path.stat().st_size / 1e6:,.1f} MB but unpacks to {size / 1e6:,.0f} MB, "
            f"which torch.save never writes, so it is not loaded. {way_out}"
        )


def _refuse_expanded(path: Path, content: Any, way_out: str) -> None:
    """Refuse tensors that repeat a few stored values up to a large size."""
    for tensor in _tensors(content):
        size = tensor.numel() * tensor.element_size()
        if tensor.layout is not torch.strided or size > max(
            MAX_EXPANDED, tensor.untyped_storage().nbytes()
        ):
            raise ValueError(
                f"{path} holds a tensor of shape {tuple(tensor.shape)} that the file does not "
                f"store value by value, so it is not loaded. {way_out}"
            )


def _tensors(content: Any) -> Iterator[Tensor]:
    """All tensors in nested plain containers, however deep."""
    waiting, seen = [content], set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value


def _plain(path: Path) -> Any:
    """Tensors and plain types; any other object raises an UnpicklingError and is not run."""
    if _is_safetensors(path):
        return load_file(path)
    if not _is_pickled(path):
        raise ValueError("expected a file of torch.save or safetensors")
    # DINO and timm save the settings of the command line beside the weights, as a Namespace, which
    # only holds values. torch warns about files that are refused here.
    with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
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


def _way_out(option: str | None) -> str:
    if option is None:
        return "Checkpoints of this package hold nothing else; use the file that the run wrote"
    return (
        f"If you trust the source of the file, add {option}_trusted=true; if it is yours, save "
        "only its weights: torch.save(network.state_dict(), FILE)"
    )


def _refused_object(error: Exception) -> str:
    """The object that torch refused, from its message, without its advice to load it anyway.

    The file chose the object's name, so it is cut and printed without control characters.
    """
    message = str(error)
    if named := re.search(r"GLOBAL (\S+)", message):
        return f"Unsupported global: {printable(named[1])[:100]}"
    own = re.search(r"(?:Unsupported|Can only|[Uu]nsupported persistent)[^\n]*", message)
    return printable(own[0])[:160] if own else "an object of an unknown kind"


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is not a checkpoint, or is damaged: {first_line(error)}")
