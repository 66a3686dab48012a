"""Files and folders that are not checkpoints of torch: their kind, and how to convert them."""

import zipfile
from pathlib import Path

# First bytes of a file -> what it is, and what to do.
_MAGIC = (
    (b"\x89HDF", "an HDF5 file of Keras or TensorFlow", "convert its weights to torch"),
    (b"GGUF", "a GGUF file of llama.cpp", "take the weights that it was made from"),
    (b"\x93NUMPY", "a NumPy array", "save the weights by name with torch.save"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "run git lfs pull"),
    (b"<!DOCTYPE", "a web page, not the file itself", "download the file again"),
    (b"<html", "a web page, not the file itself", "download the file again"),
    (b"\x1f\x8b", "a compressed archive", "unpack it and give the file in it"),
    (b"BZh", "a compressed archive", "unpack it and give the file in it"),
    (b"7z\xbc\xaf", "a compressed archive", "unpack it and give the file in it"),
)
# Endings of files without such bytes.
_ENDINGS = {
    ".onnx": ("an ONNX model", "take the network that it was exported from"),
    ".pb": ("a TensorFlow graph", "convert its weights to torch"),
    ".msgpack": ("a Flax checkpoint", "convert its weights to torch"),
    ".tflite": ("a TensorFlow Lite model", "take the network that it was made from"),
    ".engine": ("a TensorRT engine", "take the network that it was made from"),
}
# Files of a folder -> what the folder is, and what to do. A star stands for any text.
_FOLDERS = (
    ("*.index.json", "weights in several files", "save them as one file with torch.save"),
    (
        "*zero_to_fp32.py",
        "a DeepSpeed checkpoint",
        "run python {path}/zero_to_fp32.py {path} weights.bin and give that file",
    ),
    (
        "*_model_states.pt",
        "a DeepSpeed checkpoint",
        "give its mp_rank_00_model_states.pt, or convert it with DeepSpeed's zero_to_fp32.py",
    ),
    (
        ".metadata",
        "a distributed checkpoint of torch",
        "run python -m torch.distributed.checkpoint.format_utils dcp_to_torch {path} weights.pth "
        "and give that file",
    ),
    ("saved_model.pb", "a TensorFlow model", "convert its weights to torch"),
)
# The one file that holds the weights in a folder of the Hugging Face hub or of `odc export`.
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
_TAR = 257  # where a tar archive has its name


def weights_in_folder(folder: Path) -> Path | None:
    """The file with the weights in a folder as on the Hugging Face hub; None if there is none."""
    return next((folder / name for name in WEIGHT_FILES if (folder / name).is_file()), None)


def kind_of_folder(folder: Path) -> str | None:
    """Kind of a folder that is not a run, with advice, as text; None if it is not known."""
    for pattern, kind, advice in _FOLDERS:
        if any(folder.glob(pattern)):
            return f"is {kind}; {advice.format(path=folder)}"
    return None


def kind_of_file(path: Path) -> str | None:
    """Kind of a file that is not a checkpoint of torch or safetensors, with advice, as text.

    Returns:
        None if it may be a checkpoint.
    """
    with path.open("rb") as file:
        start = file.read(_TAR + 5)
    for magic, kind, advice in _MAGIC:
        if start.lower().startswith(magic.lower()):
            return f"is {kind}; {advice}"
    if start[_TAR:] == b"ustar" and not path.name.endswith((".pth.tar", ".pt.tar")):
        return "is a tar archive; unpack it and give the file in it"
    if zipfile.is_zipfile(path):
        return _kind_of_zip(path)
    if path.suffix in _ENDINGS:
        kind, advice = _ENDINGS[path.suffix]
        return f"is {kind}; {advice}"
    return None


def _kind_of_zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()]
            whole = archive.namelist()
    except zipfile.BadZipFile:  # the reader reports the damage
        return None
    if "constants.pkl" in names:
        return (
            "is a TorchScript archive, a program that loading would run; if you trust its source, "
            "save its weights: torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)"
        )
    if "data.pkl" in names:
        return None
    if "archive_format" in names or "models/model.json" in names:
        return (
            "is a program of torch.export; if you trust its source, save its weights: "
            "torch.save(dict(torch.export.load(FILE).state_dict), NEW_FILE)"
        )
    if whole and all(name.endswith(".npy") for name in whole):
        return "is a NumPy archive; save the weights by name with torch.save"
    return "is a zip archive; unpack it and give the file in it"
